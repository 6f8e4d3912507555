"""Schedules of levels, as users write them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mario_envkit.arguments import as_sequence, as_text, most_similar, shown, whole_number
from mario_envkit.curriculum.schedule import (
    Fixed,
    LevelSchedule,
    OnSuccess,
    Random,
    Sequential,
    Weighted,
    Worst,
)
from mario_envkit.errors import LevelError
from mario_envkit.game.levels import Level, parse_level, parse_levels

ORDERS: dict[str, Callable[[Sequence[Level]], LevelSchedule]] = {
    "random": Random,
    "sequential": Sequential,
    "on-success": OnSuccess,
    "weighted": Weighted,
    "worst": Worst,
}
"""How the next of several levels is chosen."""


def resolve_schedule(level: Any, game: str = "smb") -> LevelSchedule:
    """A schedule from what users write: the one syntax for levels, in Python and in commands.

    ========================  ==================================================================
    "1-1", ``(1, 1)``         always this level; ``[1, 1]`` as well
    "full"                    the game from its title screen
    "1-1..2-4"                any level from 1-1 to 2-4, drawn at random at each reset
    "1-1..1-4,4-2"            any of these, as is a list: ``["1-1", "4-2"]``
    "all"                     any level of the game, as is "random"
    "random"                  any level of the game
    "sequential"              one after another, whatever comes of it
    "on-success"              one after another, each until it was completed
    "weighted"                at random, those of middling difficulty more often
    "worst"                   at random, in every other episode one of the worst tenth
    "ORDER:LEVELS"            one of these five orders over some levels: "on-success:1-1..1-4"
    ========================  ==================================================================

    Commands that play one level after another (see :func:`each_place`, :func:`each_level`) take
    the levels of "1-1..2-4", of a list and of "all" one by one.

    Args:
        level: one of these, or a :class:`~mario_envkit.curriculum.schedule.LevelSchedule`.
        game: "smb" or "lost_levels".

    Raises:
        LevelError: for anything else, or a level the game does not have.
    """
    if isinstance(level, np.ndarray):
        level = level.tolist()
    if isinstance(level, str) and level.strip() == "full":
        return Fixed(None)
    if isinstance(level, list) and len(level) == 2 and None not in map(whole_number, level):
        level = tuple(level)  # a level as JSON has it
    if isinstance(level, list) and level:
        return Random(parse_levels(level, game))
    if not isinstance(level, type) and callable(getattr(level, "next", None)):
        schedule: LevelSchedule = level
        return schedule
    if isinstance(level, str):
        order, levels = split_order(level)
        if order is not None:
            return ORDERS[order](parse_levels(levels, game))
        if levels == "all" or ".." in levels or ("," in levels and "-" in levels):
            return Random(parse_levels(levels, game))
    return Fixed(parse_level(level, game))


def split_order(text: str) -> tuple[str | None, str]:
    """The order in a text like "weighted:1-1..2-4", and its levels; "weighted" is about "all".

    Raises:
        LevelError: for an order that does not exist.
    """
    order, colon, levels = (part.strip() for part in text.rpartition(":"))
    if not colon and levels[:1].isalpha() and levels != "all":
        order, levels = levels, "all"
    if not colon and not order:
        return None, levels
    if order not in ORDERS:
        there = list(ORDERS) if colon else [*ORDERS, "all", "full"]
        close = most_similar(order, there)
        hint = f"did you mean {close!r}?" if close else f"choose one of {', '.join(there)}"
        if not close:
            hint += "." if colon else ", or levels such as '1-1' or '1-1..2-4'."
        raise LevelError(f"There is no order of levels {shown(order)}; {hint}")
    return order, levels


def each_place(words: str | Sequence[str], game: str = "smb") -> list[str]:
    """What is to be played, one after another, if these words name levels; each is a ``level=``.

    Levels are named one by one, "1-1..1-3" as three; "full" and an order are one each.

    Args:
        words: texts as :func:`resolve_schedule` takes them.
        game: "smb" or "lost_levels".

    Raises:
        LevelError: for levels that the game does not have, and for a place that is named twice.
        OptionError: for what are no texts.
    """
    places: list[str] = []
    given = (words,) if isinstance(words, str) else as_sequence("levels", words, "texts")
    for word in given:
        text = as_text("levels", word, "a level such as '1-1'").strip()
        if text != "full" and split_order(text)[0] is None:
            places += map(str, parse_levels(text, game))
        else:
            resolve_schedule(text, game)  # says what is wrong with it
            places.append(text)
    if len(set(places)) < len(places):
        twice = next(place for place in places if places.count(place) > 1)
        raise LevelError(f"The levels {' '.join(given)} name {twice} twice; name each once.")
    return places


def each_level(text: Any, game: str = "smb") -> tuple[Level, ...]:
    """The levels of a text or list, for what can be done with single levels only.

    Raises:
        LevelError: for "full", which is no single level, and for what is no level.
    """
    if isinstance(text, str):
        if text.strip() == "full":
            raise LevelError(
                "'full' is the whole game; give single levels, such as '1-1', '1-1..1-4' or 'all'."
            )
        text = split_order(text)[1]
    elif isinstance(text, tuple):
        return (parse_level(text, game),)
    return parse_levels(text, game)
