"""Which level the next episode plays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from mario_envkit.game.levels import Level, all_levels, parse_level


class LevelSchedule(Protocol):
    """Chooses a level at every reset."""

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
    """``levels`` in turn, over and over."""

    def __init__(self, levels: Sequence[Level]) -> None:
        self.levels = tuple(levels)
        self._position = 0

    def next(self, rng: np.random.Generator) -> Level:
        level = self.levels[self._position]
        self._position = (self._position + 1) % len(self.levels)
        return level


def resolve_schedule(level: Any, game: str = "smb") -> LevelSchedule:
    """A schedule from what users write.

    Args:
        level: "1-1" or ``(1, 1)``; a list of such, one of which is drawn at random; "random" or
            "sequential" over all levels; "full", the game from its title screen; or a schedule.
        game: "smb" or "lost_levels".

    Raises:
        LevelError: for anything else, or a level the game does not have.
    """
    if level == "full":
        return Fixed(None)
    if level == "random":
        return Random(all_levels(game))
    if level == "sequential":
        return Sequential(all_levels(game))
    if isinstance(level, list) and level:
        return Random([parse_level(item, game) for item in level])
    if callable(getattr(level, "next", None)):
        schedule: LevelSchedule = level
        return schedule
    return Fixed(parse_level(level, game))
