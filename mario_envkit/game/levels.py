"""Worlds and stages."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from mario_envkit.errors import LevelError

# Lost Levels from world 5 on needs the disk's second file, which no known image has playable
# from the title screen; gym-super-mario-bros 7.4 stops at 4 as well.
WORLDS = {"smb": 8, "lost_levels": 4}
STAGES = 4

# In these worlds the stage after the first begins with a cut-scene of Mario walking into a pipe,
# which counts as an area of its own.
_WORLDS_WITH_INTRO_AREA = {"smb": (1, 2, 4, 7), "lost_levels": (1, 3)}


class Level(NamedTuple):
    """A stage of the game; ``str(level)`` is "1-1"."""

    world: int
    stage: int

    def __str__(self) -> str:
        return f"{self.world}-{self.stage}"

    def area_number(self, game: str) -> int:
        """The number, from 1, under which the game loads this stage (RAM ``AreaNumber`` + 1)."""
        has_intro = self.stage >= 2 and self.world in _WORLDS_WITH_INTRO_AREA[game]
        return self.stage + has_intro


def all_levels(game: str = "smb") -> tuple[Level, ...]:
    """Every stage that can be started, in order."""
    return tuple(Level(w, s) for w in range(1, WORLDS[game] + 1) for s in range(1, STAGES + 1))


def parse_level(value: Any, game: str = "smb") -> Level:
    """Read "1-1", ``(1, 1)`` or a :class:`Level`.

    Raises:
        LevelError: if it is none of these, or the game has no such stage.
    """
    if isinstance(value, str) and (match := re.fullmatch(r"\s*(\d+)\s*[-,]\s*(\d+)\s*", value)):
        pair = int(match[1]), int(match[2])
    elif isinstance(value, (tuple, list)) and len(value) == 2:
        try:
            pair = int(value[0]), int(value[1])
        except (TypeError, ValueError):
            pair = 0, 0
    else:
        pair = 0, 0
    level = Level(*pair)
    if level not in all_levels(game):
        raise LevelError(
            f"There is no level {value!r} in {game}: give world and stage as '1-1' to "
            f"'{WORLDS[game]}-{STAGES}'."
        )
    return level
