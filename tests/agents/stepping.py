"""Interleavings made to order: a call that stops wherever the code under test has a fence."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from mario_agents.runtime.shm.atomics import Memory


class Crashed(BaseException):
    """Ends a call in the middle, as SIGKILL would: nothing is cleaned up."""


class LocalSegments:
    """Stands in for ``SharedSegments`` where one process is enough."""

    memory: Memory

    def create(self, size: int) -> tuple[str, Memory]:
        self.memory = np.zeros(size, dtype=np.uint8)
        return "/local", self.memory


class Stepper:
    """Runs ``call`` in a thread of its own, which waits in every :meth:`pause`.

    Exactly one thread runs at a time, so that every interleaving is reproducible. The call has run
    to its first pause when the constructor returns.
    """

    def __init__(self, call: Callable[[Callable[[], None]], Any]) -> None:
        self.done, self.result = False, None
        self._crash = False
        self._go, self._reached = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, args=(call,), daemon=True)
        self._thread.start()
        self._reached.acquire()

    def pause(self) -> None:
        """To be called by the code under test."""
        self._reached.release()
        self._go.acquire()
        if self._crash:
            raise Crashed

    def step(self) -> bool:
        """Let the call run to its next pause; True if it has returned."""
        self._go.release()
        self._reached.acquire()
        return self.done

    def finish(self) -> Any:
        """Let the call run to its end; its result."""
        while not self.done:
            self.step()
        return self.result

    def crash(self) -> None:
        """End the call where it stands."""
        self._crash = True
        self.step()

    def _run(self, call: Callable[[Callable[[], None]], Any]) -> None:
        try:
            self.result = call(self.pause)
        except Crashed:
            pass
        finally:
            self.done = True
            self._reached.release()


def copy_in_halves(pause: Callable[[], None]) -> Callable[[Any, Any], None]:
    """A copy that stops in the middle."""

    def copy(out: Any, source: Any) -> None:
        half = len(out) // 2
        np.copyto(out[half:], source[half:])
        pause()
        np.copyto(out[:half], source[:half])

    return copy
