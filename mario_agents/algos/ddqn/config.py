"""Options of ``mario-agents train ddqn``."""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar

from msgspec import Meta

from mario_agents.config import (
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    TrainConfig,
)
from mario_agents.nn.encoders import NatureEncoder
from mario_envkit.errors import ConfigError


@dataclasses.dataclass(frozen=True, kw_only=True)
class DDQNConfig(TrainConfig):
    """Configuration of the trainer ``ddqn``; the reasons for the defaults are in its README."""

    RESUMABLE: ClassVar[frozenset[str]] = TrainConfig.RESUMABLE | {
        "eval_epsilon",
        "keep_checkpoints",
        "save_replay",
        "torch_threads",
    }

    lr: PositiveFloat = 1e-4
    """Learning rate of AdamW after the warm-up."""
    lr_min: NonNegativeFloat = 1e-5
    """Learning rate at the end of the cosine decay, which lasts total_steps."""
    lr_warmup: NonNegativeInt = 500
    """Updates over which the learning rate rises from 0."""
    weight_decay: NonNegativeFloat = 0.0
    """Weight decay of AdamW."""
    max_grad_norm: PositiveFloat = 10.0
    """Gradients with a larger norm are scaled down to it."""

    gamma: Fraction = 0.9
    """Discount for each agent step."""
    n_step: PositiveInt = 3
    """Steps whose rewards are summed before the value of the next observation is asked for."""
    q_scale: PositiveFloat = 50.0
    """Action values are bounded to the range from -q_scale to q_scale."""
    tau: Fraction = 0.005
    """Share by which the target network moves to the online network in each update."""
    hidden: PositiveInt = 256
    """Width of the value stream and of the advantage stream."""

    batch_size: PositiveInt = 32
    """Transitions in an update."""
    train_every: PositiveInt = 4
    """Agent steps for each update."""
    collect_steps: PositiveInt = 64
    """Agent steps, summed over the environments, between two rounds of updates."""
    learning_starts: PositiveInt = 2_000
    """Transitions in the replay buffer before the first update."""

    buffer_size: PositiveInt = 100_000
    """Transitions in the replay buffer (100,000 take 0.76 GB with 84x84 pictures)."""
    prioritized: bool = True
    """Prioritized replay; without it all transitions have the same chance."""
    per_alpha: Fraction = 0.6
    """How far the chance of a transition follows its error: 0 not at all, 1 in proportion."""
    per_beta: Fraction = 0.4
    """How far prioritized sampling is corrected for at first; rises to 1 over total_steps."""

    epsilon_start: Fraction = 1.0
    """Probability of a random action at first."""
    epsilon_end: Fraction = 0.05
    """Probability of a random action after epsilon_decay steps."""
    epsilon_decay: NonNegativeInt = 100_000
    """Agent steps over which epsilon falls in a straight line."""
    eval_epsilon: Fraction = 0.02
    """Probability of a random action when the agent is evaluated by sampling."""

    keep_checkpoints: Annotated[int, Meta(ge=1)] = 3
    """Number of checkpoints kept on disk."""
    save_replay: bool = False
    """Save the replay buffer in checkpoints as well (its whole size each time)."""
    torch_threads: PositiveInt = 1
    """Threads for PyTorch on the CPU; more pay off only on a machine with nothing else to do."""

    def __post_init__(self) -> None:
        if self.frame_stack < 2:
            raise ConfigError(
                "ddqn needs frame_stack >= 2: a single screen does not show how things move."
            )
        if self.screen_size < NatureEncoder.MIN_SIZE:
            raise ConfigError(
                f"ddqn needs screen_size >= {NatureEncoder.MIN_SIZE}, not {self.screen_size}: the "
                "kernels of its convolutions do not fit in smaller pictures."
            )
        if not self.batch_size <= self.learning_starts <= self.buffer_size:
            raise ConfigError(
                f"ddqn needs batch_size <= learning_starts <= buffer_size, not {self.batch_size}, "
                f"{self.learning_starts}, {self.buffer_size}."
            )
        if self.num_envs > self.buffer_size:
            raise ConfigError("ddqn needs a buffer_size of at least num_envs.")
        if self.lr_min > self.lr:
            raise ConfigError(f"ddqn needs lr_min <= lr, not {self.lr_min:g} and {self.lr:g}.")

    @property
    def total_updates(self) -> int:
        """Updates in a whole run, which the learning rate's schedule spans."""
        return max((self.total_steps - self.learning_starts) // self.train_every, 1)
