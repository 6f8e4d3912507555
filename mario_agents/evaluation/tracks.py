"""The tracks of ``docs/pages/benchmark.md``: which levels an agent of each is measured on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from mario_envkit.errors import OptionError
from mario_envkit.game.levels import all_levels

TrackName = Literal["1-1", "32-stages", "one-agent", "held-out", "lost-levels"]

HELD_OUT = ("1-1", "2-1", "3-2", "4-3", "5-2", "6-3", "7-4", "8-4")
"""One stage of each world, each number of a stage twice, none whose area another stage has as well
(as 5-3 has that of 1-3): of all such lists the first in the order of the game. Agents of that track
are trained on the other 24."""


@dataclass(frozen=True, slots=True)
class Track:
    """One way to compare agents.

    Attributes:
        name: on the command line and in results.
        title: for people.
        game: the cartridge.
        levels: on which it is decided.
        joins: whether several agents, each measured on its own levels, make one entry.
    """

    name: TrackName
    title: str
    game: Literal["smb", "lost_levels"]
    levels: tuple[str, ...]
    joins: bool = False

    def levels_to_play(self, asked: list[str]) -> list[str]:
        """The levels to measure an agent on, if its user asks for these.

        Raises:
            OptionError: if they are others than the track has.
        """
        if self.joins:
            others = [level for level in asked if level not in self.levels]
            if asked and not others:
                return asked
            raise OptionError(
                f"The track {self.name} has an agent for each stage; say with --levels which "
                f"this one plays{f', and not {others[0]}' if others else ''}."
            )
        if asked and set(asked) != set(self.levels):
            raise OptionError(
                f"The track {self.name} is played on {' '.join(self.levels)}; leave out --levels."
            )
        return list(self.levels)


def _names(game: str) -> tuple[str, ...]:
    return tuple(map(str, all_levels(game)))


TRACKS: dict[str, Track] = {
    track.name: track
    for track in (
        Track("1-1", "1-1 in minutes", "smb", ("1-1",)),
        Track("32-stages", "32 stages, one agent each", "smb", _names("smb"), joins=True),
        Track("one-agent", "One agent for 32 stages", "smb", _names("smb")),
        Track("held-out", "8 stages that it was not trained on", "smb", HELD_OUT),
        Track(
            "lost-levels", "The Lost Levels after Super Mario Bros", "lost_levels",
            _names("lost_levels"),
        ),
    )
}  # fmt: skip
"""By name, in the order in which they are shown."""

assert tuple(TRACKS) == get_args(TrackName)
