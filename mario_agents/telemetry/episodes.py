"""Results of environment steps as collectors get them: ended episodes and lost lives."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Episode:
    """An episode that has ended.

    Attributes:
        env: number of the environment.
        level: where it ended, such as "1-1"; after a warp, the stage that it left.
        reward: its return, undiscounted.
        length: agent steps.
        x_pos, best_x: where Mario was at the end, and the farthest he came in that level; pixels.
        flags: levels cleared.
        success: it reached its goal: the flag of its stage, in the full game the last axe.
        truncated: ended by a limit, not by the game.
        shown: its return and success tell how good the policy is. Not where it began elsewhere
            than at the start of a level, or has gone on from a snapshot; nor where games explore
            by different amounts on purpose, and this one's is among the larger ones.
    """

    env: int
    level: str
    reward: float
    length: int
    x_pos: int
    best_x: int
    flags: int
    success: bool
    truncated: bool
    shown: bool = True


@dataclass(frozen=True, slots=True)
class Death:
    """A life lost, whether or not the episode went on: where, and why ("enemy", "pit"...).

    ``area`` is the area of the level as in the info, -1 if that does not say.
    """

    level: str
    x_pos: int
    cause: str
    area: int = -1


@dataclass(slots=True)
class CollectResult:
    """What a round of steps in a vector environment brought.

    Attributes:
        steps: agent steps, summed over the environments.
        episodes, deaths: those that ended in the round.
        gauges: current values of the one who collected, by metric (``epsilon``, ``buffer_size``).
        first_lives: episodes that are shown until they went on from a snapshot, as if they had
            ended with the death before it.
    """

    steps: int = 0
    episodes: list[Episode] = field(default_factory=list)
    deaths: list[Death] = field(default_factory=list)
    gauges: dict[str, float] = field(default_factory=dict)
    first_lives: list[Episode] = field(default_factory=list)
