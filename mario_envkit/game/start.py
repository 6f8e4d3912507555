"""A moment of the game at which an episode can begin."""

from __future__ import annotations

from dataclasses import dataclass

from mario_envkit.emulator.snapshot import Snapshot
from mario_envkit.game.levels import Level


@dataclass(frozen=True, slots=True)
class StartPoint:
    """The console at a moment of the game, whatever environment is put around it.

    An episode that begins here begins like any other: frame stack, rewards and limits start anew.
    (A snapshot of the archive goes on with those it was taken with.)

    Attributes:
        console: the machine.
        level: the stage that is played; None is the full game.
        frame: frames since the level began.
    """

    console: Snapshot
    level: Level | None
    frame: int = 0
