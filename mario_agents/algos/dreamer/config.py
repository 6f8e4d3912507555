"""Options of ``mario-agents train dreamer``."""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from mario_agents.algos.dreamer.sizes import SIZES, SizeName
from mario_agents.config import (
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ReplayConfig,
    Stacked,
    TileNetworkConfig,
)
from mario_agents.replay.storage import storage_bytes
from mario_envkit.errors import ConfigError


@dataclasses.dataclass(frozen=True, kw_only=True)
class DreamerConfig(ReplayConfig, TileNetworkConfig):
    """Configuration of the trainer ``dreamer``; the reasons for the defaults are in its README."""

    SCHEDULABLE: ClassVar[frozenset[str]] = ReplayConfig.SCHEDULABLE | {"entropy_coef", "gamma"}

    observation: Literal["pixels", "tiles"] = "tiles"
    """What the agent sees: the screen, or the tiles around Mario."""
    frame_stack: Stacked = 1
    """Number of pictures, one agent step apart, in an observation; one suffices: how things move is
    what the world model remembers."""
    num_envs: PositiveInt = 8
    """Number of environments that a worker steps together."""
    total_steps: PositiveInt = 200_000
    """Budget in agent steps, summed over all environments."""
    eval_interval: NonNegativeInt = 10_000
    """Agent steps between two greedy evaluations during training; 0 for none. The best weights of
    all are kept beside the latest."""

    size: SizeName = "tiles"
    """Size of the networks: tiles (small, for CPUs), 1m, 12m, 25m or 50m (those of the paper, by
    their number of parameters)."""
    decoder: Literal["reconstruction", "none"] = "reconstruction"
    """What the states of the world model are learned from: a decoder that reconstructs what was
    seen; or none, and states that agree with the encoder and repeat nothing (R2-Dreamer):
    small things count as much as large ones, and there are no films of dreams."""
    batch_size: PositiveInt = 16
    """Sequences in a batch."""
    batch_length: Annotated[int, Meta(ge=2)] = 16
    """Observations of a sequence."""
    train_ratio: PositiveFloat = 24.0
    """Observations that are learned from, for each agent step that is made."""
    learning_starts: PositiveInt = 1_024
    """Agent steps in a worker's replay buffer before its first batch."""
    collect_steps: PositiveInt = 64
    """A worker's agent steps, summed over its environments, between two rounds of batches."""
    buffer_size: PositiveInt = 200_000
    """Agent steps in each worker's replay buffer, or with shared experience in the one for all
    (200,000 take 170 MB from tiles)."""
    online: bool = True
    """Learn from every new step once, soon after it was made, beside those drawn at random."""

    gamma: Fraction = 0.95
    """Discount for each agent step."""
    gae_lambda: Fraction = 0.95
    """Between one-step (0) and whole (1) imagined returns."""
    horizon: PositiveInt = 15
    """Steps of an imagined future."""
    imagined: PositiveInt = 64
    """States of a batch from which a future is imagined, at most batch_size * batch_length."""
    entropy_coef: NonNegativeFloat = 7e-3
    """Reward for undecided action choices; advantages are about -1 to 1."""
    uniform: Fraction = 0.01
    """Share of actions that are chosen without looking."""

    free_nats: NonNegativeFloat = 1.0
    """The world model's prior and posterior need not be nearer to one another than this."""
    dynamics_coef: NonNegativeFloat = 1.0
    """Weight of the divergence as a loss of the prior."""
    representation_coef: NonNegativeFloat = 0.1
    """Weight of the divergence as a loss of the posterior."""
    redundancy_coef: NonNegativeFloat = 0.05
    """Without a decoder: weight of the redundancy-reduction loss."""
    off_diagonal_coef: NonNegativeFloat = 5e-4
    """Without a decoder: weight in that loss of what the numbers of a state repeat, beside how far
    they agree with the encoder."""
    replay_coef: NonNegativeFloat = 0.3
    """Weight of the critic's error along real sequences."""
    slow_regularizer: NonNegativeFloat = 1.0
    """How far the critic is held at the values of its slow copy."""
    tau: Fraction = 0.02
    """Share by which that copy moves to the critic in each update."""
    range_rate: Fraction = 0.01
    """Share by which the range of returns, which advantages are divided by, moves in each batch."""

    imitate_steps: NonNegativeInt = 300
    """Updates of imitation before a run plays; they are none of total_steps."""
    demo_actor_coef: NonNegativeFloat = 0.1
    """Weight of behaviour cloning as a loss of the actor along demonstrations, beside what it
    learns in imagination."""

    lr: PositiveFloat = 6e-4
    """Learning rate of LaProp after the warm-up; the paper has 4e-5 for its large networks."""
    lr_warmup: NonNegativeInt = 200
    """Packets of gradients (with one worker: updates) over which the learning rate rises from 0."""
    clip: PositiveFloat = 0.3
    """The gradient of each matrix is scaled down to this share of the matrix's own norm."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.imagined > self.batch_size * self.batch_length:
            raise ConfigError(
                "dreamer needs imagined <= batch_size * batch_length, not "
                f"{self.imagined} > {self.batch_size} * {self.batch_length}."
            )
        games = self.num_envs * max(self.workers, 1)
        least = games * (self.batch_length + 2)
        if not least <= self.buffer_size >= self.learning_starts:
            raise ConfigError(
                "dreamer needs a buffer_size of at least learning_starts, and batch_length + 2 for "
                f"each environment, {least}, not {self.buffer_size}."
            )

    @property
    def train_every(self) -> float:
        """A worker's agent steps for each of its batches."""
        return self.batch_size * self.batch_length / self.train_ratio

    @property
    def central(self) -> bool:
        """Whether the steps of all workers come into one replay buffer."""
        return self.workers == 0 or self.share == "experience"

    @property
    def short_episodes(self) -> bool:
        """Whether the replay buffer has room for the pictures of as many steps where each ends an
        episode. Elsewhere fewer steps fit then, but as many as the first batch waits for."""
        least = max(self.learning_starts, self.num_envs * (self.batch_length + 2))
        return 2 * self.frame_stack * least > self.buffer_size

    def replay_bytes(self) -> int:
        """Bytes of all replay buffers together, when they are full."""
        workers = max(self.workers, 1)
        buffers, games = (1, workers) if self.central else (workers, 1)
        shape, stacked = self.obs_shape, self.frame_stack > 1
        states = SIZES[self.size].state_columns
        own = storage_bytes(
            self.buffer_size,
            games * self.num_envs,
            shape,
            stacked=stacked,
            extras=states,
            short_episodes=self.short_episodes,
        )
        shown = 0
        if self.imitate is not None:
            shown = storage_bytes(self.demo_size, 1, shape, stacked=stacked, extras=states)
        return buffers * (own + shown)
