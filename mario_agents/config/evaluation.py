"""How a run measures its agent while it trains."""

from __future__ import annotations

import dataclasses

from mario_agents.config.groups import OptionGroup
from mario_agents.config.scalars import Chance, NonNegativeInt, PositiveInt
from mario_envkit.errors import ConfigError


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationOptions(OptionGroup):
    """How the agent is measured during training."""

    HEADING = "evaluation"
    RESUMABLE = frozenset({"eval_interval", "eval_episodes", "stop_at_success"})

    eval_interval: NonNegativeInt = 50_000
    """Agent steps between two greedy evaluations during training; 0 for none. The best weights of
    all are kept beside the latest."""
    eval_episodes: PositiveInt = 10
    """Episodes of one such evaluation, and as many again with sticky actions; of several levels
    each is played as often as the others. Every evaluation has seeds of its own, and none that
    mario-agents eval has."""
    confirm_episodes: NonNegativeInt = 0
    """Choose the best weights in two stages: those that are not clearly worse than the best so far
    play so many more episodes, as many again with sticky actions, and as many with sampled ones,
    with other seeds, and these alone count; 0 leaves it at the first stage, in which luck counts
    too, and nobody looks at how the agent plays when it draws its actions."""
    weight_average: Chance = 0.0
    """Evaluate, play and save an average of the weights: the share of it that an update keeps,
    0.995 for about the last 200 updates; 0 takes the latest weights. Training goes on from the
    latest anyhow."""
    stop_at_success: Chance | None = None
    """End the run before its budgets when the best weights succeed in this share of their episodes,
    such as 0.9: the mean of plain and sticky ones, with confirm_episodes those of the second stage
    alone, in which luck does not count, and of sampled ones there."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stop_at_success is not None and not self.eval_interval:
            raise ConfigError(
                "stop_at_success needs evaluations, and eval_interval is 0, which means none; give "
                "one of them another value."
            )
