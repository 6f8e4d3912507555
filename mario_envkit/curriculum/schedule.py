"""Which level the next episode plays."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, TypeVar

import numpy as np

from mario_envkit.arguments import as_int, as_number, not_possible
from mario_envkit.curriculum.level_stats import LevelStats
from mario_envkit.errors import ConfigError
from mario_envkit.game.levels import Level, parse_level, parse_levels

_T = TypeVar("_T")

Levels: TypeAlias = Sequence[Any] | str
"""What :func:`~mario_envkit.game.levels.parse_levels` takes."""


class LevelSchedule(Protocol):
    """Chooses a level at every reset.

    Further methods are called if a schedule has them:

    * ``record(level: Level, success: bool) -> None``: an episode in a level that this schedule
      chose has ended, or was left; ``success`` is whether it reached the flag of that level, not
      another's through a warp. Practice from a snapshot and levels asked for with
      ``reset(options=...)`` are not reported.
    * ``restart() -> None``: the environment was seeded; go back to how it was made or last
      restored.
    * ``state() -> dict`` and ``restore(state) -> None``: how far it is, for JSON, and to go on from
      there in another process; a state of other levels is a ConfigError.

    A schedule draws its random numbers from the ``rng`` that it is given, so that the seed of the
    environment decides them.
    """

    def next(self, rng: np.random.Generator) -> Level | None:
        """The level of the next episode; None is the full game from its title screen."""


class Fixed:
    """Always the same level, or (None) the full game.

    Raises:
        LevelError: if it is no level.
    """

    def __init__(self, level: Any) -> None:
        self.level = None if level is None else parse_level(level)

    def next(self, rng: np.random.Generator) -> Level | None:
        return self.level


class Random:
    """Any of ``levels``, each as likely as the others, drawn from the environment's seed.

    Here and in the other schedules, ``levels`` are a list of :class:`Level` or of what can be read
    as one, or a text like "1-1..1-4,4-2" or "all".

    Raises:
        LevelError: if they are no levels, or none.
    """

    def __init__(self, levels: Levels) -> None:
        self.levels = parse_levels(levels)

    def next(self, rng: np.random.Generator) -> Level:
        # One random() a draw keeps the stream the same whoever replays it.
        return self.levels[int(rng.random() * len(self.levels))]


class Sequential:
    """``levels`` in turn, over and over, whatever comes of it.

    Raises:
        LevelError: if they are no levels, or none.
    """

    def __init__(self, levels: Levels) -> None:
        self.levels = parse_levels(levels)
        self._position = self._begun = 0

    def next(self, rng: np.random.Generator) -> Level:
        level = self.levels[self._position]
        self._position = (self._position + 1) % len(self.levels)
        return level

    def restart(self) -> None:
        self._position = self._begun

    def state(self) -> dict[str, Any]:
        return {"levels": _texts(self.levels), "position": self._position}

    def restore(self, state: dict[str, Any]) -> None:
        self._begun = _position_in(state, self.levels)
        self.restart()


class OnSuccess:
    """``levels`` in turn, over and over, each until it has been completed ``wins`` times.

    Raises:
        LevelError: if they are no levels, or none.
        OptionError: if ``wins`` is not positive.
    """

    def __init__(self, levels: Levels, wins: int = 1) -> None:
        self.levels, self.wins = parse_levels(levels), as_int("wins", wins, least=1)
        self._position = self._won = 0
        self._begun = 0, 0

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
        self._position, self._won = self._begun

    def state(self) -> dict[str, Any]:
        return {"levels": _texts(self.levels), "position": self._position, "won": self._won}

    def restore(self, state: dict[str, Any]) -> None:
        position, won = _position_in(state, self.levels), state.get("won")
        if type(won) is not int or not 0 <= won < self.wins:
            raise _foreign(state)
        self._begun = position, won
        self.restart()


class OutcomeSchedule(ABC):
    """Chooses by how often levels were completed lately.

    The completion rate of a level is estimated from about the last ``memory`` attempts as
    (successes + 1) / (attempts + 2): one that was never tried counts as middling. Environments
    that share such a schedule find the rates sooner than each would by itself.

    Args:
        levels: what to choose from.
        memory: attempts after which the weight of an outcome has fallen to 1 / e.
        stats: what is known beforehand, by level ("1-1"), for instance from an earlier run; that
            of other levels, such as the Minus World's 36-1, is left aside.

    Raises:
        LevelError: if they are no levels, or none.
        OptionError: for a ``memory`` below 1, or ``stats`` that are none.
    """

    def __init__(
        self,
        levels: Levels,
        memory: float = 20,
        stats: Mapping[str, LevelStats] | None = None,
    ) -> None:
        self.levels, self.memory = parse_levels(levels), as_number("memory", memory, least=1)
        stats = {} if stats is None else stats
        if not isinstance(stats, Mapping) or not all(
            isinstance(known, LevelStats) for known in stats.values()
        ):
            raise not_possible("stats", stats, "a dict of LevelStats by level, such as '1-1'")
        known = (stats.get(str(level), LevelStats()) for level in self.levels)
        counted = ((min(each.attempts, self.memory), each.completion_rate) for each in known)
        # Attempts and successes, fading.
        self._begun = tuple((attempts, attempts * rate) for attempts, rate in counted)
        self.restart()

    def restart(self) -> None:
        self._tried = dict(zip(self.levels, self._begun, strict=True))

    def state(self) -> dict[str, Any]:
        tried = [list(self._tried[level]) for level in self.levels]
        return {"levels": _texts(self.levels), "tried": tried}

    def restore(self, state: dict[str, Any]) -> None:
        try:
            known = [(float(n), float(s)) for n, s in state["tried"]]
            fits = state["levels"] == _texts(self.levels) and len(known) == len(self.levels)
        except (KeyError, TypeError, ValueError):
            fits = False
        if not fits or not all(0 <= s <= n < math.inf for n, s in known):
            raise _foreign(state)
        self._begun = tuple(known)
        self.restart()

    def rates(self) -> list[float]:
        """The estimated completion rate of each of ``levels``."""
        return [(s + 1) / (n + 2) for n, s in (self._tried[level] for level in self.levels)]

    def weights(self) -> dict[Level, float]:
        """How likely each level is to be chosen; they add up to 1."""
        raw = self._raw_weights(self.rates())
        return {level: w / sum(raw) for level, w in zip(self.levels, raw, strict=True)}

    @abstractmethod
    def _raw_weights(self, rates: list[float]) -> list[float]:
        """Positive numbers that the chances of levels with such rates are proportional to."""

    def next(self, rng: np.random.Generator) -> Level:
        return draw(self.levels, list(self.weights().values()), rng)

    def record(self, level: Level, success: bool) -> None:
        if level in self._tried:
            attempts, successes = self._tried[level]
            kept = 1 - 1 / self.memory
            self._tried[level] = attempts * kept + 1, successes * kept + success


class Weighted(OutcomeSchedule):
    """Levels of middling difficulty more often than those that always or never succeed.

    A level with completion rate p weighs p (1 - p), the variance of its outcome, which says how
    much there is to learn in it, and never less than a tenth of the most that can be. Arguments and
    errors are as of :class:`OutcomeSchedule`.
    """

    def _raw_weights(self, rates: list[float]) -> list[float]:
        return [max(0.025, rate * (1 - rate)) for rate in rates]


class Worst(OutcomeSchedule):
    """In every other episode one of the worst tenth of the levels, else any of the others.

    The worst are those with the lowest completion rates, at least one of them, and more where
    several are equally bad: for an agent that is to be good everywhere, and not on average.
    Arguments and errors are as of :class:`OutcomeSchedule`.
    """

    def _raw_weights(self, rates: list[float]) -> list[float]:
        bound = sorted(rates)[(len(rates) + 9) // 10 - 1]
        worst = sum(rate <= bound for rate in rates)
        others = len(rates) - worst
        return [others or 1 if rate <= bound else worst for rate in rates]


def _texts(levels: Sequence[Level]) -> list[str]:
    return [str(level) for level in levels]


def _position_in(state: dict[str, Any], levels: Sequence[Level]) -> int:
    """The position that a state tells, if it is one of these levels."""
    try:
        position = state["position"]
        fits = state["levels"] == _texts(levels) and type(position) is int
    except (KeyError, TypeError):
        raise _foreign(state) from None
    if not fits or not 0 <= position < len(levels):
        raise _foreign(state)
    return int(position)


def _foreign(state: object) -> ConfigError:
    return ConfigError(
        f"{state!r:.200} is not the state of a schedule over these levels; give what state() "
        "returned for the same one."
    )


def draw(items: Sequence[_T], weights: Sequence[float], rng: np.random.Generator) -> _T:
    """One of ``items``, as likely as its weight says; takes one ``rng.random()``."""
    sums = np.cumsum(weights)
    return items[int(np.searchsorted(sums[:-1], rng.random() * sums[-1], side="right"))]


class KeptSchedule(NamedTuple):
    """A schedule at work, as a value.

    Attributes:
        open: the level that it chose and has not heard of yet.
        kind: its class.
        memory: its attributes.
    """

    open: Level | None
    kind: type
    memory: dict[str, Any]


def _attributes(schedule: LevelSchedule) -> dict[str, Any]:
    attributes: dict[str, Any] = getattr(schedule, "__dict__", {})
    return attributes


def _copied(memory: dict[str, Any]) -> dict[str, Any]:
    """``deepcopy`` in a fraction of its time, for what schedules mostly are made of."""
    values = {name: value for name, value in memory.items() if _is_value(value)}
    others = {name: value for name, value in memory.items() if name not in values}
    return {**values, **deepcopy(others)}


def _is_value(item: Any) -> bool:
    if type(item) in (tuple, Level):
        return all(map(_is_value, item))
    return item is None or type(item) in (bool, int, float, str)


class ScheduledLevels:
    """A schedule at work in one environment: asks it for levels and tells it what came of them.

    An episode that is left before its end, by a time limit or a reset, was not a success.
    """

    def __init__(self, schedule: LevelSchedule, game: str) -> None:
        self.schedule, self._game = schedule, game
        self._record: Callable[[Level, bool], None] | None = getattr(schedule, "record", None)
        self._open: Level | None = None

    def next(
        self, rng: np.random.Generator, asked: Level | Literal["full"] | None = None
    ) -> Level | None:
        """The level of the next episode; one that is still open was not completed.

        If somebody has ``asked`` for another one, that is it, and the schedule hears of neither.

        Raises:
            LevelError: if the schedule chose one that the game does not have.
        """
        if asked is not None:
            self.drop()
            return None if asked == "full" else asked
        self.end(success=False)
        chosen = self.schedule.next(rng)
        self._open = None if chosen is None else parse_level(chosen, self._game)
        return self._open

    def end(self, *, success: bool) -> None:
        """The episode is over; harmless if there is none."""
        level, self._open = self._open, None
        if level is not None and self._record is not None:
            self._record(level, success)

    def drop(self) -> None:
        """The episode becomes something else, of which the schedule is not told."""
        self._open = None

    def save(self) -> KeptSchedule:
        """The episode that is open, and what the schedule remembers, as a value."""
        return KeptSchedule(self._open, type(self.schedule), _copied(_attributes(self.schedule)))

    def load(self, kept: KeptSchedule) -> None:
        """Go on from :meth:`save`; a schedule of another kind goes on as it is."""
        self._open = None
        if kept.kind is type(self.schedule):
            self._open = kept.open
            _attributes(self.schedule).update(_copied(kept.memory))

    def restart(self) -> None:
        """The environment was seeded."""
        self._open = None
        restart = getattr(self.schedule, "restart", None)
        if restart is not None:
            restart()
