"""Whose the games of a vector are: of one process, of one thread at a time, until it is closed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from mario_envkit.errors import EmulatorClosed
from mario_envkit.step_lock import StepLock
from mario_envkit.vector.attributes import GameAttributes

if TYPE_CHECKING:
    from mario_envkit.vector.pool import GamePool

CLOSED = "This vector environment is closed; make a new one."


class OpenGames(GameAttributes):
    """A vector environment that can be closed, and does not outlive a fork."""

    step_lock: StepLock
    _pool: GamePool | None
    _process: int

    @property
    def pool(self) -> GamePool:
        """The games.

        Raises:
            EmulatorClosed: if this vector is closed, or of another process.
        """
        if self._pool is None:
            raise EmulatorClosed(CLOSED)
        if self._process != os.getpid():
            raise EmulatorClosed(
                "This vector environment was made in another process, and its threads did not come "
                "along when this one was forked; make the environment in the process that uses it."
            )
        return self._pool

    def _begin(self) -> GamePool:
        """Begin a step or a reset of these games; ``step_lock.end()`` must follow."""
        pool = self.pool  # first of all: a lock of another process may stay locked
        self.step_lock.begin()
        return pool

    def close_extras(self, **kwargs: Any) -> None:
        """End the threads and free the machines, after a step of another thread."""
        if getattr(self, "_process", None) != os.getpid():  # its lock may stay locked
            self._pool = None
            return
        try:
            with self.step_lock:
                pool, self._pool = self._pool, None
                vars(self).pop("slots", None)
                if pool is not None:
                    try:
                        self.hooks.close()
                    finally:
                        pool.close()
        finally:
            if hasattr(self, "single"):  # not if an argument was wrong
                self.single.close()
