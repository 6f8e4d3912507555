"""What the standard fixes: how many episodes, how sticky, which seeds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from msgspec import Meta

from mario_agents.config import NonNegativeInt, PositiveInt
from mario_agents.evaluation.conditions import CONDITIONS, Condition
from mario_agents.evaluation.results import EvalProtocol
from mario_agents.evaluation.seeds import FIRST


@dataclass(frozen=True, slots=True)
class Standard:
    """How a level is measured.

    Attributes:
        episodes: for each condition.
        sticky: probability that the console sees the action before again (Machado et al.,
            "Revisiting the Arcade Learning Environment", JAIR 2018): in an agent step under the
            sticky conditions, in a frame under those named frames.
        noop_max: an episode begins with 0 to so many idle frames.
        seed: episode ``i`` of every condition is seeded with ``seed + i``; below the seeds by which
            weights were chosen while they trained.
    """

    episodes: PositiveInt = 100
    sticky: Annotated[float, Meta(gt=0, lt=1)] = 0.25
    noop_max: NonNegativeInt = 30
    seed: Annotated[int, Meta(ge=0, lt=FIRST)] = 0

    @property
    def is_whole(self) -> bool:
        """Whether success rates measured so may stand beside others: as the defaults say, whatever
        the seed, with as many episodes or more."""
        whole = Standard(seed=self.seed)
        return self.episodes >= whole.episodes and replace(self, episodes=whole.episodes) == whole

    def __str__(self) -> str:
        return (
            f"{self.episodes} episodes under each of {len(CONDITIONS)} conditions, "
            f"up to {self.noop_max} no-op frames, sticky {self.sticky:g}"
        )

    def protocol(self, condition: Condition) -> EvalProtocol:
        """How episodes are played under one of
        :data:`~mario_agents.evaluation.conditions.CONDITIONS`."""
        choice, console = condition.split("-")
        return EvalProtocol(
            episodes=self.episodes,
            greedy=choice == "greedy",
            sticky=0.0 if console == "plain" else self.sticky,
            per_frame=console == "frames",
            noop_max=self.noop_max,
            seed=self.seed,
        )
