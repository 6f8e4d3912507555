"""A moment of the game at which an episode can begin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mario_envkit.arguments import as_bool, as_int, as_options, not_possible
from mario_envkit.emulator.snapshot import Snapshot
from mario_envkit.game.levels import Level, parse_level

RESET_OPTIONS = ("level", "start", "true_start")


@dataclass(frozen=True, slots=True)
class StartPoint:
    """The console at a moment of the game, whatever environment is put around it.

    An episode that begins here begins like any other: frame stack, rewards and limits start anew.
    (A snapshot of the archive goes on with those it was taken with.)

    Attributes:
        console: the machine.
        level: the stage that is played; None is the full game.
        frame: frames since the level began.

    Raises:
        OptionError: if these are something else.
        LevelError: for a level that no game has.
    """

    console: Snapshot
    level: Level | None
    frame: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.console, Snapshot):
            raise not_possible("console", self.console, "a Snapshot")
        if self.level is not None:
            object.__setattr__(self, "level", parse_level(self.level))
        object.__setattr__(self, "frame", as_int("frame", self.frame, what="frames"))

    def __deepcopy__(self, memo: object) -> StartPoint:
        """A value: nothing can be written to it."""
        return self


def read_options(options: Any, game: str, known: Sequence[str] = RESET_OPTIONS) -> dict[str, Any]:
    """The options of a reset, checked; ``level`` is "full", a :class:`Level` or None.

    Raises:
        LevelError: for a level that the game does not have.
        OptionError: if they are no dict, or hold something that makes no sense.
    """
    if options is None:
        return {}
    asked = as_options(options, known)
    level, start = asked.get("level"), asked.get("start")
    if level is not None:
        is_full = isinstance(level, str) and level == "full"
        asked["level"] = "full" if is_full else parse_level(level, game)
    if start is not None and not isinstance(start, StartPoint):
        raise not_possible(
            "options['start']", start, "a StartPoint, as env.unwrapped.start_point() makes them"
        )
    if asked.get("true_start") is not None:
        asked["true_start"] = as_bool("options['true_start']", asked["true_start"])
    return asked
