"""Counts what came of the episodes of each level; only the main process has one."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from mario_agents.run.level_rates import LevelRate, read_level_rates, write_level_rates
from mario_agents.run.storage import Deferrable

SAVE_SECONDS = 60.0


class LevelLog:
    """The only writer of a run's ``levels.json``; goes on from the one that is there.

    Args:
        path: the file.
        interval: seconds between two saves.
        clock: seconds.

    Attributes:
        rates: by level.

    Raises:
        RunError: if the file is damaged.
    """

    def __init__(
        self,
        path: Path,
        *,
        interval: float = SAVE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.rates = self._saved = read_level_rates(path)
        self._path, self._interval, self._clock = path, interval, clock
        self._next = clock() + interval
        self._state = Deferrable(path.name)

    def record(self, level: str, episodes: int, successes: int) -> None:
        """Count ``episodes`` that ended in a level, of which ``successes`` reached their goal."""
        before = self.rates.get(level, LevelRate())
        self.rates = {**self.rates, level: before.plus(episodes, successes)}

    def recent(self) -> dict[str, float]:
        """The latest success rate of each level, if there are several."""
        if len(self.rates) < 2:
            return {}
        return {level: rate.recent for level, rate in sorted(self.rates.items())}

    def tick(self) -> None:
        """Save if it is time to and there is something new; call it often.

        A disk that refuses is told of in the log, once, and tried again at the next interval.
        """
        if self._clock() < self._next:
            return
        self._next = self._clock() + self._interval
        self._state.attempt(self.close)

    def close(self) -> None:
        """Save what is new.

        Raises:
            RunError: if the file cannot be written.
        """
        if self.rates is not self._saved:
            write_level_rates(self._path, self.rates)
            self._saved = self.rates
