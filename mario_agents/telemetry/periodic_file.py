"""A file of a run that is written from time to time; only the main process writes it."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from mario_agents.run.storage import Deferrable

SAVE_SECONDS = 60.0


class PeriodicFile(ABC):
    """What is counted while a run goes on, and saved once in a while.

    Args:
        path: the file.
        interval: seconds between two saves.
        clock: seconds.
    """

    def __init__(
        self,
        path: Path,
        *,
        interval: float = SAVE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._interval, self._clock = interval, clock
        self._next = clock() + interval
        self._state = Deferrable(path.name)

    def tick(self) -> None:
        """Save if it is time to and there is something new; call it often.

        A disk that refuses is told of in the log, once, and tried again at the next interval.
        """
        if self._clock() < self._next:
            return
        self._next = self._clock() + self._interval
        self._state.attempt(self.close)

    @abstractmethod
    def close(self) -> None:
        """Save what is new.

        Raises:
            MarioEnvkitError: a subclass that says which file cannot be written.
        """
