"""Worlds and stages."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import cache, lru_cache
from typing import Any, NamedTuple

from mario_envkit.arguments import as_choice, as_int, as_sequence, plain, shown
from mario_envkit.errors import LevelError, OptionError

# Lost Levels from world 5 on needs the disk's second file, which no known image has playable
# from the title screen; gym-super-mario-bros 7.4 stops at 4 as well.
WORLDS = {"smb": 8, "lost_levels": 4}
STAGES = 4

# In these worlds the stage after the first begins with a cut-scene of Mario walking into a pipe,
# which counts as an area of its own.
_WORLDS_WITH_INTRO_AREA = {"smb": (1, 2, 4, 7), "lost_levels": (1, 3)}


@lru_cache(maxsize=1024)  # every frame asks for the same one again
def level_name(world: int, stage: int) -> str:
    """What a stage is called: "1-1"."""
    return f"{world}-{stage}"


class Level(NamedTuple):
    """A stage of the game; ``str(level)`` is "1-1"."""

    world: int
    stage: int

    def __str__(self) -> str:
        return level_name(*self)

    def area_number(self, game: str) -> int:
        """The number, from 1, under which the game loads this stage (RAM ``AreaNumber`` + 1)."""
        has_intro = self.stage >= 2 and self.world in _WORLDS_WITH_INTRO_AREA[game]
        return self.stage + has_intro


def all_levels(game: str = "smb") -> tuple[Level, ...]:
    """Every stage that can be started, in order.

    Raises:
        OptionError: for a game that does not exist.
    """
    return _all_levels(
        game if type(game) is str and game in WORLDS else as_choice("game", game, WORLDS)
    )


@cache
def _all_levels(game: str) -> tuple[Level, ...]:
    worlds = WORLDS[game]
    return tuple(Level(w, s) for w in range(1, worlds + 1) for s in range(1, STAGES + 1))


def parse_level(value: Any, game: str = "smb") -> Level:
    """Read "1-1", ``(1, 1)`` or a :class:`Level`.

    Raises:
        LevelError: if it is none of these, or the game has no such stage.
    """
    levels = all_levels(game)
    if type(value) is Level and value in levels:
        return value
    text = plain(value)
    level: Level | None = None
    if isinstance(text, str):
        if match := re.fullmatch(r"\s*(\d{1,2})\s*[-,]\s*(\d{1,2})\s*", text):
            level = Level(int(match[1]), int(match[2]))
    else:
        with suppress(OptionError):
            pair = as_sequence("level", value, "a pair")
            level = Level(*(as_int("level", number) for number in pair)) if len(pair) == 2 else None
    if level is None or level not in levels:
        raise LevelError(
            f"There is no level {shown(value)} in {game}: give world and stage as '1-1' to "
            f"'{WORLDS[game]}-{STAGES}'."
        )
    return level


def parse_levels(value: Any, game: str = "smb") -> tuple[Level, ...]:
    """Several levels: "1-1..1-4,4-2" (``..`` includes both ends), "all", or a list of such.

    Raises:
        LevelError: if it is none of these, names no level, or the game has no such level.
    """
    text = plain(value)
    if not isinstance(text, str):
        return _level_list(value, game)
    if text.strip() == "all":
        return all_levels(game)
    if re.fullmatch(r"\s*\d+\s*,\s*\d+\s*", text):  # "1,1" is a single level
        return (parse_level(text, game),)
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


def _level_list(value: Any, game: str) -> tuple[Level, ...]:
    if isinstance(value, Level):
        return (parse_level(value, game),)
    try:
        items = as_sequence("levels", value, "a list of levels")
    except OptionError as error:
        raise LevelError(str(error)) from None
    if not items:
        raise LevelError("levels=[] names no level; give at least one, such as '1-1'.")
    return tuple(
        level
        for item in items
        for level in (
            parse_levels(item, game) if isinstance(item, str) else (parse_level(item, game),)
        )
    )
