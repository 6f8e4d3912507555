"""Counts what came of the episodes of each level; only the main process has one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mario_agents.run.level_rates import LevelRate, read_level_rates, write_level_rates
from mario_agents.telemetry.periodic_file import PeriodicFile


class LevelLog(PeriodicFile):
    """The only writer of a run's ``levels.json``; goes on from the one that is there.

    Args:
        path: the file.
        options: see :class:`~mario_agents.telemetry.periodic_file.PeriodicFile`.

    Attributes:
        rates: by level.

    Raises:
        RunError: if the file is damaged.
    """

    def __init__(self, path: Path, **options: Any) -> None:
        super().__init__(path, **options)
        self._path = path
        self.rates = self._saved = read_level_rates(path)

    def record(self, level: str, episodes: int, successes: int) -> None:
        """Count ``episodes`` that ended in a level, of which ``successes`` reached their goal."""
        before = self.rates.get(level, LevelRate())
        self.rates = {**self.rates, level: before.plus(episodes, successes)}

    def recent(self) -> dict[str, float]:
        """The latest success rate of each level, if there are several."""
        if len(self.rates) < 2:
            return {}
        return {level: rate.recent for level, rate in sorted(self.rates.items())}

    def close(self) -> None:
        """Save what is new.

        Raises:
            RunError: if the file cannot be written.
        """
        if self.rates is not self._saved:
            write_level_rates(self._path, self.rates)
            self._saved = self.rates
