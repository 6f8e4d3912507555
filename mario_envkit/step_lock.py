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

    __slots__ = ("acquire", "release", "steps")

    def __init__(self) -> None:
        lock = threading.RLock()
        self.acquire, self.release = lock.acquire, lock.release
        self.steps = 0
        """Steps and resets that the thread which has the lock is in, one within the other."""

    def begin(self) -> None:
        """Begin a step or a reset.

        Raises:
            CallOrderError: if another thread is in one.
        """
        if not self.acquire(False):
            self.wait()
        self.steps += 1

    def wait(self) -> None:
        """Wait for a thread that looks, having found the lock taken.

        Raises:
            CallOrderError: if that thread is in a step or a reset.
        """
        if self.steps:
            raise CallOrderError(
                "Another thread is stepping or resetting this environment; let one thread do that, "
                "or give each thread an environment of its own (others may render)."
            )
        self.acquire()

    def end(self) -> None:
        """End what :meth:`begin` began."""
        self.steps -= 1
        self.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()
