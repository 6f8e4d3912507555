"""Which level the next episode plays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

import numpy as np

from mario_envkit.curriculum.level_stats import LevelStats
from mario_envkit.errors import OptionError
from mario_envkit.game.levels import Level

_T = TypeVar("_T")


class LevelSchedule(Protocol):
    """Chooses a level at every reset.

    Two further methods are called if a schedule has them:

    * ``record(level: Level, success: bool) -> None``: an episode in a level that this schedule
      chose has ended, or was left; ``success`` is whether it reached the flag. Practice from a
      snapshot and levels asked for with ``reset(options=...)`` are not reported.
    * ``restart() -> None``: the environment was seeded; go back to how it was made.

    A schedule draws its random numbers from the ``rng`` that it is given, so that the seed of the
    environment decides them.
    """

    def next(self, rng: np.random.Generator) -> Level | None:
        """The level of the next episode; None is the full game from its title screen."""


class Fixed:
    """Always the same level, or (None) the full game."""

    def __init__(self, level: Level | None) -> None:
        self.level = level

    def next(self, rng: np.random.Generator) -> Level | None:
        return self.level


class Random:
    """Any of ``levels``, each as likely as the others, drawn from the environment's seed."""

    def __init__(self, levels: Sequence[Level]) -> None:
        self.levels = tuple(levels)

    def next(self, rng: np.random.Generator) -> Level:
        # One random() a draw keeps the stream the same whoever replays it.
        return self.levels[int(rng.random() * len(self.levels))]


class Sequential:
    """``levels`` in turn, over and over, whatever comes of it."""

    def __init__(self, levels: Sequence[Level]) -> None:
        self.levels = tuple(levels)
        self._position = 0

    def next(self, rng: np.random.Generator) -> Level:
        level = self.levels[self._position]
        self._position = (self._position + 1) % len(self.levels)
        return level

    def restart(self) -> None:
        self._position = 0


class OnSuccess:
    """``levels`` in turn, over and over, each until it has been completed ``wins`` times.

    Raises:
        OptionError: if ``wins`` is not positive.
    """

    def __init__(self, levels: Sequence[Level], wins: int = 1) -> None:
        if wins < 1:
            raise OptionError(f"wins={wins} is not possible; give 1 or more.")
        self.levels, self.wins = tuple(levels), wins
        self._position = self._won = 0

    def next(self, rng: np.random.Generator) -> Level:
        return self.levels[self._position]

    def record(self, level: Level, success: bool) -> None:
        # A shared schedule can hear of a level that it has left behind already.
        if not success or level != self.levels[self._position]:
            return
        self._won += 1
        if self._won == self.wins:
            self._won, self._position = 0, (self._position + 1) % len(self.levels)

    def restart(self) -> None:
        self._position = self._won = 0


class Weighted:
    """Levels of middling difficulty more often than those that always or never succeed.

    A level with completion rate p weighs p (1 - p), the variance of its outcome, and never less
    than a tenth of the most that can be. The rate is estimated from about the last ``memory``
    attempts as (successes + 1) / (attempts + 2): a level that was never tried counts as middling.

    Args:
        levels: what to choose from.
        memory: attempts after which the weight of an outcome has fallen to 1 / e.
        stats: what is known beforehand, by level ("1-1"), for instance from an earlier run.

    Raises:
        OptionError: if ``memory`` is not positive.
    """

    def __init__(
        self,
        levels: Sequence[Level],
        memory: float = 20,
        stats: Mapping[str, LevelStats] | None = None,
    ) -> None:
        if not memory >= 1:
            raise OptionError(f"memory={memory} is not possible; give 1 attempt or more.")
        self.levels, self.memory = tuple(levels), memory
        self._before = {Level(*map(int, name.split("-"))): s for name, s in (stats or {}).items()}
        self.restart()

    def restart(self) -> None:
        self._tried = dict.fromkeys(self.levels, (0.0, 0.0))  # attempts and successes, fading
        for level in self._tried.keys() & self._before.keys():
            known = self._before[level]
            attempts = min(known.attempts, self.memory)
            self._tried[level] = attempts, attempts * known.completion_rate

    def weights(self) -> dict[Level, float]:
        """How likely each level is to be chosen; they add up to 1."""
        rates = ((s + 1) / (n + 2) for n, s in (self._tried[level] for level in self.levels))
        raw = [max(0.025, rate * (1 - rate)) for rate in rates]
        return {level: w / sum(raw) for level, w in zip(self.levels, raw, strict=True)}

    def next(self, rng: np.random.Generator) -> Level:
        return draw(self.levels, list(self.weights().values()), rng)

    def record(self, level: Level, success: bool) -> None:
        if level in self._tried:
            attempts, successes = self._tried[level]
            kept = 1 - 1 / self.memory
            self._tried[level] = attempts * kept + 1, successes * kept + success


def draw(items: Sequence[_T], weights: Sequence[float], rng: np.random.Generator) -> _T:
    """One of ``items``, as likely as its weight says; takes one ``rng.random()``."""
    sums = np.cumsum(weights)
    return items[int(np.searchsorted(sums[:-1], rng.random() * sums[-1], side="right"))]


class ScheduledLevels:
    """A schedule at work in one environment: asks it for levels and tells it what came of them.

    An episode that is left before its end, by a time limit or a reset, was not a success.
    """

    def __init__(self, schedule: LevelSchedule) -> None:
        self.schedule = schedule
        self._record: Callable[[Level, bool], None] | None = getattr(schedule, "record", None)
        self._open: Level | None = None

    def next(self, rng: np.random.Generator) -> Level | None:
        """The level of the next episode; one that is still open was not completed."""
        self.end(success=False)
        self._open = self.schedule.next(rng)
        return self._open

    def end(self, *, success: bool) -> None:
        """The episode is over; harmless if there is none."""
        level, self._open = self._open, None
        if level is not None and self._record is not None:
            self._record(level, success)

    def drop(self) -> None:
        """The episode becomes something else, of which the schedule is not told."""
        self._open = None

    def restart(self) -> None:
        """The environment was seeded."""
        self._open = None
        restart = getattr(self.schedule, "restart", None)
        if restart is not None:
            restart()
