"""Options of ``mario-agents train ddqn`` and ``mario-agents train apex``."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from mario_agents.config import (
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ReplayConfig,
    Share,
    TileNetworkConfig,
)
from mario_agents.nn.device import resolve_device
from mario_agents.nn.registry import NetworkChoice, check_screen, choose_network
from mario_agents.replay.memory import available_memory
from mario_agents.replay.storage import Schema, storage_bytes
from mario_agents.replay.sum_tree import SumTrees
from mario_agents.replay.transitions import VALUE_COLUMNS
from mario_envkit.errors import ConfigError

if TYPE_CHECKING:
    from typing_extensions import Self


_LR_MIN = 1e-5
_SHARE_OF_MEMORY = 0.75


class ReplaySizes(NamedTuple):
    """Transitions: of a batch, in the buffer before the first one, and in the full buffer."""

    batch: int
    learning_starts: int
    buffer: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class DQNConfig(ReplayConfig, TileNetworkConfig):
    """What the trainers of this package have in common; the reasons for the defaults are in its
    README.

    Attributes:
        TRAINER: name of the trainer.
        SHARES: what its workers can send; the first is the default.
        SIZES: what is meant where ``batch_size``, ``learning_starts`` and ``buffer_size`` are None.
        EXTRAS: what the policy keeps in the replay buffer.
    """

    RESUMABLE: ClassVar[frozenset[str]] = ReplayConfig.RESUMABLE | {"buffer_size", "eval_epsilon"}
    TRAINER: ClassVar[str]
    SHARES: ClassVar[tuple[Share, ...]]
    SIZES: ClassVar[ReplaySizes]
    EXTRAS: ClassVar[Schema] = {}

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
    """Transitions in a batch; None is 128 (apex: 512), or less if learning_starts or buffer_size is
    less."""
    train_every: PositiveInt = 8
    """Agent steps for each batch: those of one worker, or with shared experience of all."""
    collect_steps: PositiveInt = 64
    """A worker's agent steps, summed over its environments, in a round: between two rounds of its
    batches, or in a piece of shared experience."""
    learning_starts: PositiveInt | None = None
    """Transitions in a replay buffer before its first batch; None is 2,000 (apex: 5,000), or less
    if buffer_size is less, or more if batch_size is more."""

    buffer_size: PositiveInt | None = None
    """Transitions in the replay buffer: one for each worker, or with shared experience one for all
    (100,000 take 34 MB from tiles, 0.76 GB with 84x84 pictures). None is 100,000 (apex: 1,000,000),
    or as many as take three quarters of the memory that is free, or more if learning_starts or
    num_envs is more."""
    per_alpha: Fraction = 0.6
    """How far the chance of a transition in prioritized replay follows its error: 0 not at all, 1
    in proportion."""
    per_beta: Fraction = 0.4
    """How far prioritized sampling is corrected for at first; rises to 1."""
    per_beta_steps: NonNegativeInt | None = None
    """Agent steps over which per_beta rises to 1; None is total_steps."""

    demo_margin: NonNegativeFloat = 0.8
    """Values of all other actions are held below that of a demonstrated one by this much (large
    margin), in the units of returns."""
    demo_coef: NonNegativeFloat = 1.0
    """Weight of that loss beside the error of values."""

    eval_epsilon: Fraction = 0.02
    """Probability of a random action when the agent is evaluated by sampling."""

    def __post_init__(self) -> None:
        super().__post_init__()
        name = self.TRAINER
        if self.frame_stack < 2:
            raise ConfigError(
                f"{name} needs frame_stack >= 2: a single screen does not show how things move."
            )
        check_screen(self.network, self.observation, self.screen_size)
        sizes = self.replay
        if not sizes.batch <= sizes.learning_starts <= sizes.buffer:
            raise ConfigError(
                f"{name} needs batch_size <= learning_starts <= buffer_size, not "
                f"{', '.join(map(str, sizes))}."
            )
        if self.lr_end > self.lr:
            raise ConfigError(f"{name} needs lr_min <= lr, not {self.lr_end:g} and {self.lr:g}.")
        if sizes.buffer < self.smallest_buffer:
            raise ConfigError(
                f"{name} needs a buffer_size of at least {self.smallest_buffer} for "
                f"{self.buffer_games} environments, not {sizes.buffer}."
            )

    def resolved(self) -> Self:
        """The same options with ``auto`` and None decided for this machine."""
        device = resolve_device(self.device).type
        batch, starts, buffer = self.replay
        free = available_memory()
        if self.buffer_size is None and free is not None:
            free = int(_SHARE_OF_MEMORY * free) - self._demonstration_bytes
            fits = buffer * free // self._buffer_bytes
            buffer = max(min(buffer, fits), starts, self.smallest_buffer)
        return dataclasses.replace(
            super().resolved(),
            network=choose_network(self.network, self.observation, device),
            lr_min=self.lr_end,
            batch_size=batch,
            learning_starts=starts,
            buffer_size=buffer,
        )

    @property
    def central(self) -> bool:
        """Whether the steps of all workers come into one replay buffer."""
        return self.workers == 0 or (self.share or self.SHARES[0]) == "experience"

    @property
    def buffer_games(self) -> int:
        """Environments whose steps come into one replay buffer."""
        return self.num_envs * (max(self.workers, 1) if self.central else 1)

    @property
    def smallest_buffer(self) -> int:
        """A ``buffer_size`` that steps are not driven out of before they can be drawn."""
        return self.buffer_games

    @property
    def lr_end(self) -> float:
        """What ``lr_min`` means."""
        return min(self.lr, _LR_MIN) if self.lr_min is None else self.lr_min

    @property
    def replay(self) -> ReplaySizes:
        """What ``batch_size``, ``learning_starts`` and ``buffer_size`` mean: those that were given
        decide on the others."""
        usual = self.SIZES
        batch, starts, buffer = self.batch_size, self.learning_starts, self.buffer_size
        if batch is None:
            batch = min(size for size in (usual.batch, starts, buffer) if size is not None)
        if starts is None:
            least = usual.learning_starts
            starts = max(batch, least if buffer is None else min(least, buffer))
        if buffer is None:
            buffer = max(usual.buffer, starts, self.smallest_buffer)
        return ReplaySizes(batch, starts, buffer)

    def replay_bytes(self) -> int:
        """Bytes of all replay buffers together, with the priorities, when they are full; and of
        demonstrations, as many as there may be."""
        return self._buffer_bytes + self._demonstration_bytes

    @property
    def _buffers(self) -> int:
        return 1 if self.central else self.workers

    @property
    def _buffer_bytes(self) -> int:
        size, games = self.replay.buffer, self.buffer_games
        storage = storage_bytes(size, games, self.obs_shape, extras=self.EXTRAS)
        return self._buffers * (storage + SumTrees.size_in_bytes(size // games * games))

    @property
    def _demonstration_bytes(self) -> int:
        if self.imitate is None:
            return 0
        storage = storage_bytes(self.demo_size, 1, self.obs_shape)
        return self._buffers * (storage + SumTrees.size_in_bytes(self.demo_size))

    @property
    def total_packets(self) -> int:
        """Packets of gradients in a whole run, which the learning rate's schedule spans."""
        starts = self.replay.learning_starts * (1 if self.central else self.workers)
        return max((self.total_steps - starts) // (self.train_every * self.accumulate_grads), 1)

    @property
    def beta_steps(self) -> int:
        """What ``per_beta_steps`` means."""
        return self.total_steps if self.per_beta_steps is None else self.per_beta_steps


@dataclasses.dataclass(frozen=True, kw_only=True)
class DDQNConfig(DQNConfig):
    """Configuration of the trainer ``ddqn``."""

    SCHEDULABLE = DQNConfig.SCHEDULABLE | {"gamma"}
    TRAINER = "ddqn"
    SHARES = ("gradients", "experience")
    SIZES = ReplaySizes(batch=128, learning_starts=2_000, buffer=100_000)

    prioritized: bool = False
    """Prioritized replay; without it all transitions have the same chance."""
    exploration: Literal["linear", "apex"] = "linear"
    """Random actions: linear is one falling epsilon for all environments (the options below); apex
    gives environment i of N the fixed epsilon 0.4 ** (1 + 7 * i / (N - 1)), over all workers."""
    epsilon_start: Fraction | None = None
    """Probability of a random action at first; None is 1, or, in a run that imitates, epsilon_end:
    what it has learned from demonstrations is to be played."""
    epsilon_end: Fraction = 0.05
    """Probability of a random action after epsilon_decay steps."""
    epsilon_decay: NonNegativeInt = 60_000
    """Agent steps over which epsilon falls in a straight line."""

    @property
    def epsilon_first(self) -> float:
        """What ``epsilon_start`` means."""
        if self.epsilon_start is not None:
            return self.epsilon_start
        return 1.0 if self.imitate is None else self.epsilon_end


@dataclasses.dataclass(frozen=True, kw_only=True)
class ApexConfig(DQNConfig):
    """Configuration of the trainer ``apex``: the numbers of Horgan et al. (2018), but for the
    learning rate and what this game needs."""

    TRAINER = "apex"
    SHARES = ("experience", "gradients")
    SIZES = ReplaySizes(batch=512, learning_starts=5_000, buffer=1_000_000)
    EXTRAS = VALUE_COLUMNS

    sync_every: PositiveInt = 1_000
    """Agent steps after which a worker that shares experience looks for newer weights, before its
    next round."""
    lr: PositiveFloat = 2.5e-4
    """Learning rate of AdamW after the warm-up."""
    n_step: PositiveInt = 3
    """Steps whose rewards are summed before the value of the next observation is asked for."""
    train_every: PositiveInt = 64
    """Agent steps for each batch: those of one worker, or with shared experience of all. A
    transition is drawn batch_size / train_every times on average."""
    epsilon_base: Fraction = 0.4
    """Environment i of N, of all workers together, plays the share epsilon_base ** (1 +
    epsilon_alpha * i / (N - 1)) of its actions at random."""
    epsilon_alpha: NonNegativeFloat = 7.0
    """How far those shares are apart, see epsilon_base. Returns and success in training are those
    of the quarter of the environments whose shares are smallest."""

    @property
    def smallest_buffer(self) -> int:
        """A ``buffer_size`` that steps are not driven out of before their priority is known."""
        return self.buffer_games * (self.n_step + 1)
