"""Options of ``mario-agents train ddqn``."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from mario_agents.config import (
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    TrainConfig,
)
from mario_agents.nn.device import resolve_device
from mario_agents.nn.registry import NetworkChoice, check_screen, choose_network
from mario_envkit.errors import ConfigError

if TYPE_CHECKING:
    from typing_extensions import Self


_LR_MIN, _BATCH, _STARTS, _BUFFER = 1e-5, 128, 2_000, 100_000


class ReplaySizes(NamedTuple):
    """Transitions: of a batch, in the buffer before the first one, and in the full buffer."""

    batch: int
    learning_starts: int
    buffer: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class DDQNConfig(TrainConfig):
    """Configuration of the trainer ``ddqn``; the reasons for the defaults are in its README."""

    RESUMABLE: ClassVar[frozenset[str]] = TrainConfig.RESUMABLE | {
        "eval_epsilon",
        "save_replay",
    }

    observation: Literal["pixels", "tiles"] = "tiles"
    """What the agent sees: the screen, or the tiles around Mario."""
    num_envs: PositiveInt = 16
    """Number of environments that a worker steps together."""
    total_steps: PositiveInt = 200_000
    """Budget in agent steps, summed over all environments."""
    eval_interval: NonNegativeInt = 20_000
    """Agent steps between two greedy evaluations during training; 0 for none. The best weights of
    all are kept beside the latest."""

    lr: PositiveFloat = 5e-4
    """Learning rate of AdamW after the warm-up."""
    lr_min: NonNegativeFloat | None = None
    """Learning rate at the end of the cosine decay, which lasts total_steps; None is 1e-5, or lr if
    that is less."""
    lr_warmup: NonNegativeInt = 500
    """Packets of gradients (with one worker: updates) over which the learning rate rises from 0."""
    weight_decay: NonNegativeFloat = 0.0
    """Weight decay of AdamW."""
    max_grad_norm: PositiveFloat = 10.0
    """Gradients with a larger norm are scaled down to it."""

    gamma: Fraction = 0.9
    """Discount for each agent step."""
    n_step: PositiveInt = 5
    """Steps whose rewards are summed before the value of the next observation is asked for."""
    q_scale: PositiveFloat = 50.0
    """Action values are bounded to the range from -q_scale to q_scale."""
    huber: PositiveFloat | None = None
    """Errors of values count linearly beyond this (Huber loss); None squares them."""
    tau: Fraction = 0.005
    """Share by which the target network moves to the online network in each update."""
    network: NetworkChoice = "auto"
    """small, nature, impala, impala-large, or mlp (for tiles); auto chooses by observation and
    device."""
    hidden: PositiveInt = 256
    """Width of the value stream, of the advantage stream, and of mlp."""

    batch_size: PositiveInt | None = None
    """Transitions in a batch; None is 128, or less if learning_starts or buffer_size is less."""
    train_every: PositiveInt = 8
    """A worker's agent steps for each of its batches."""
    collect_steps: PositiveInt = 64
    """A worker's agent steps, summed over its environments, between two rounds of batches."""
    learning_starts: PositiveInt | None = None
    """Transitions in a worker's replay buffer before its first batch; None is 2,000, or less if
    buffer_size is less, or more if batch_size is more."""

    buffer_size: PositiveInt | None = None
    """Transitions in each worker's replay buffer (100,000 take 0.76 GB with 84x84 pictures); None
    is 100,000, or more if learning_starts or num_envs is more."""
    prioritized: bool = False
    """Prioritized replay; without it all transitions have the same chance."""
    per_alpha: Fraction = 0.6
    """How far the chance of a transition follows its error: 0 not at all, 1 in proportion."""
    per_beta: Fraction = 0.4
    """How far prioritized sampling is corrected for at first; rises to 1 over total_steps."""

    exploration: Literal["linear", "apex"] = "linear"
    """Random actions: linear is one falling epsilon for all environments (the options below); apex
    gives environment i of N the fixed epsilon 0.4 ** (1 + 7 * i / (N - 1)), over all workers."""
    epsilon_start: Fraction = 1.0
    """Probability of a random action at first."""
    epsilon_end: Fraction = 0.05
    """Probability of a random action after epsilon_decay steps."""
    epsilon_decay: NonNegativeInt = 60_000
    """Agent steps over which epsilon falls in a straight line."""
    eval_epsilon: Fraction = 0.02
    """Probability of a random action when the agent is evaluated by sampling."""

    save_replay: bool = False
    """Save the replay buffer in checkpoints as well: its steps are written once, while it fills, in
    pieces that checkpoints share; those of worker processes are never saved."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.frame_stack < 2:
            raise ConfigError(
                "ddqn needs frame_stack >= 2: a single screen does not show how things move."
            )
        check_screen(self.network, self.observation, self.screen_size)
        sizes = self.replay
        if not sizes.batch <= sizes.learning_starts <= sizes.buffer:
            raise ConfigError(
                "ddqn needs batch_size <= learning_starts <= buffer_size, not "
                f"{', '.join(map(str, sizes))}."
            )
        if self.num_envs > sizes.buffer:
            raise ConfigError("ddqn needs a buffer_size of at least num_envs.")
        if self.lr_end > self.lr:
            raise ConfigError(f"ddqn needs lr_min <= lr, not {self.lr_end:g} and {self.lr:g}.")

    def resolved(self) -> Self:
        """The same options with ``auto`` and None decided for this machine."""
        device = resolve_device(self.device).type
        batch, starts, buffer = self.replay
        return dataclasses.replace(
            super().resolved(),
            network=choose_network(self.network, self.observation, device),
            lr_min=self.lr_end,
            batch_size=batch,
            learning_starts=starts,
            buffer_size=buffer,
        )

    @property
    def lr_end(self) -> float:
        """What ``lr_min`` means."""
        return min(self.lr, _LR_MIN) if self.lr_min is None else self.lr_min

    @property
    def replay(self) -> ReplaySizes:
        """What ``batch_size``, ``learning_starts`` and ``buffer_size`` mean: those that were given
        decide on the others."""
        batch, starts, buffer = self.batch_size, self.learning_starts, self.buffer_size
        if batch is None:
            batch = min(size for size in (_BATCH, starts, buffer) if size is not None)
        if starts is None:
            starts = max(batch, _STARTS if buffer is None else min(_STARTS, buffer))
        if buffer is None:
            buffer = max(_BUFFER, starts, self.num_envs)
        return ReplaySizes(batch, starts, buffer)

    @property
    def total_packets(self) -> int:
        """Packets of gradients in a whole run, which the learning rate's schedule spans."""
        steps = self.total_steps - self.replay.learning_starts * max(self.workers, 1)
        return max(steps // (self.train_every * self.accumulate_grads), 1)
