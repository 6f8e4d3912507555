"""One thread at a time steps an environment."""

from __future__ import annotations

import threading

from mario_envkit.errors import CallOrderError


class StepLock:
    """The lock of an environment that several threads may use.

    Steps and resets of two threads would mix up one episode, so the second one is an error
    (:meth:`begin`, :meth:`end`). Who only looks, or takes a copy, waits until a step is over and
    is waited for: ``with lock: ...``.
    """

    __slots__ = ("_lock", "_steps")

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._steps = 0  # of the thread that has the lock, one within the other

    def begin(self) -> None:
        """Begin a step or a reset.

        Raises:
            CallOrderError: if another thread is in one.
        """
        if not self._lock.acquire(blocking=False):
            if self._steps:
                raise CallOrderError(
                    "Another thread is stepping or resetting this environment; let one thread do "
                    "that, or give each thread an environment of its own (others may render)."
                )
            self._lock.acquire()
        self._steps += 1

    def end(self) -> None:
        """End what :meth:`begin` began."""
        self._steps -= 1
        self._lock.release()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
