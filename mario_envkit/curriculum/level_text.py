"""Schedules of levels, as users write them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Any

from mario_envkit.curriculum.schedule import (
    Fixed,
    LevelSchedule,
    OnSuccess,
    Random,
    Sequential,
    Weighted,
)
from mario_envkit.errors import LevelError
from mario_envkit.game.levels import Level, all_levels, parse_level

ORDERS: dict[str, Callable[[Sequence[Level]], LevelSchedule]] = {
    "random": Random,
    "sequential": Sequential,
    "on-success": OnSuccess,
    "weighted": Weighted,
}
"""How the next of several levels is chosen."""


def resolve_schedule(level: Any, game: str = "smb") -> LevelSchedule:
    """A schedule from what users write.

    ========================  ==================================================================
    "1-1", ``(1, 1)``         always this level
    "full"                    the game from its title screen
    "1-1..2-4"                any level from 1-1 to 2-4, drawn at random at each reset
    "1-1..1-4,4-2"            any of these, as is a list: ``["1-1", "4-2"]``
    "random"                  any level of the game
    "sequential"              one after another, whatever comes of it
    "on-success"              one after another, each until it was completed
    "weighted"                at random, those of middling difficulty more often
    "ORDER:LEVELS"            one of these four orders over some levels: "on-success:1-1..1-4"
    ========================  ==================================================================

    Args:
        level: one of these, or a :class:`~mario_envkit.curriculum.schedule.LevelSchedule`.
        game: "smb" or "lost_levels".

    Raises:
        LevelError: for anything else, or a level the game does not have.
    """
    if level == "full":
        return Fixed(None)
    if isinstance(level, list) and level:
        return Random([parse_level(item, game) for item in level])
    if callable(getattr(level, "next", None)):
        schedule: LevelSchedule = level
        return schedule
    if isinstance(level, str):
        order, colon, levels = level.strip().rpartition(":")
        if colon:
            return _order(order)(parse_levels(levels, game))
        if levels[:1].isalpha():
            return _order(levels)(all_levels(game))
        if ".." in levels or ("," in levels and "-" in levels):  # "1,1" is a single level
            return Random(parse_levels(levels, game))
    return Fixed(parse_level(level, game))


def parse_levels(text: str, game: str = "smb") -> tuple[Level, ...]:
    """The levels in a text like "1-1..1-4,4-2"; ``..`` includes both ends.

    Raises:
        LevelError: if it is not such a text, or the game has no such level.
    """
    levels: list[Level] = []
    for part in text.split(","):
        first, dots, last = part.partition("..")
        begin = parse_level(first, game)
        end = parse_level(last, game) if dots else begin
        if end < begin:
            raise LevelError(
                f"The levels {part.strip()!r} run backwards; write '{end}..{begin}' instead."
            )
        levels += [level for level in all_levels(game) if begin <= level <= end]
    return tuple(levels)


def _order(name: str) -> Callable[[Sequence[Level]], LevelSchedule]:
    order = ORDERS.get(name.strip())
    if order is not None:
        return order
    close = difflib.get_close_matches(name.strip(), ORDERS, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"choose one of {', '.join(ORDERS)}."
    raise LevelError(f"There is no order of levels {name.strip()!r}; {hint}")
