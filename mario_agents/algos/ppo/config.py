"""Options of ``mario-agents train ppo``."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from msgspec import Meta

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


_LR_MIN, _STEPS, _BATCH = 1e-3, 64, 256


def nearest_divisor(number: int, wanted: int) -> int:
    """The divisor of ``number`` that is the fewest times larger or smaller than ``wanted``."""
    small = [d for d in range(1, math.isqrt(number) + 1) if number % d == 0]
    divisors = {*small, *(number // d for d in small)}
    return min(sorted(divisors), key=lambda d: max(d / wanted, wanted / d))


@dataclasses.dataclass(frozen=True, kw_only=True)
class PPOConfig(TrainConfig):
    """Configuration of the trainer ``ppo``; the reasons for the defaults are in its README."""

    RESUMABLE: ClassVar[frozenset[str]] = TrainConfig.RESUMABLE | {
        "compile",
        "channels_last",
    }

    observation: Literal["pixels", "tiles"] = "tiles"
    """What the agent sees: the screen, or the tiles around Mario."""
    num_envs: PositiveInt = 64
    """Number of environments that a worker steps together."""
    synchronous: bool = True
    """Make each update from one packet of gradients of every worker, none of them stale."""

    rollout_steps: PositiveInt | None = None
    """Steps that each environment makes with the same weights; None is 64, or the next number with
    which rollout_steps * num_envs is a multiple of minibatch_size."""
    epochs: PositiveInt = 3
    """How often each rollout is learned from."""
    minibatch_size: Annotated[int, Meta(ge=2)] | None = None
    """Steps in a batch; rollout_steps * num_envs must be a multiple of it. None is 256, or what
    divides them and is nearest to that."""
    gamma: Fraction = 0.9
    """Discount for each agent step."""
    gae_lambda: Fraction = 0.95
    """Between one-step errors (0) and whole returns (1) in the advantages."""

    clip: PositiveFloat = 0.2
    """Probabilities of actions gain nothing by changing by more than this share."""
    value_clip: PositiveFloat | None = None
    """Values gain nothing by changing by more than this; None does not clip them."""
    value_huber: PositiveFloat | None = 1.0
    """Errors of values count linearly beyond this (Huber loss); None squares them."""
    value_coef: NonNegativeFloat = 0.5
    """Weight of the value loss."""
    entropy_coef: NonNegativeFloat = 0.01
    """Reward for undecided action choices at first."""
    entropy_coef_end: NonNegativeFloat = 0.01
    """The same at the end of total_steps; in between a straight line."""
    normalize_advantage: Literal["minibatch", "rollout", "none"] = "minibatch"
    """Over what advantages are brought to mean 0 and deviation 1."""
    target_kl: PositiveFloat | None = None
    """Leave the rest of a rollout's batches once the policy has moved this far (approximate KL
    divergence in nats); None uses all of them."""

    lr: PositiveFloat = 1e-3
    """Learning rate of Adam after the warm-up."""
    lr_min: NonNegativeFloat | None = None
    """Learning rate at the end of the cosine decay, which lasts total_steps; None is 1e-3, or lr if
    that is less."""
    lr_warmup: NonNegativeInt = 0
    """Updates over which the learning rate rises from 0."""
    max_grad_norm: PositiveFloat = 0.5
    """Gradients with a larger norm are scaled down to it."""

    network: NetworkChoice = "auto"
    """small, nature, impala, impala-large, or mlp (for tiles); auto chooses by observation and
    device."""
    hidden: PositiveInt = 256
    """Width of the layer behind the convolutions, and of the layers of mlp."""
    compile: bool = False
    """Compile the network with torch.compile: a slow start, then faster on a GPU."""
    channels_last: bool | None = None
    """Keep pictures as (height, width, channels) in memory; None does so with residual networks,
    which it makes twice as fast on a CPU."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_screen(self.network, self.observation, self.screen_size)
        if self.rollout % self.batch or self.batch < 2:
            raise ConfigError(
                "ppo needs rollout_steps * num_envs to be a multiple of minibatch_size, 2 or more, "
                f"but {self.steps} * {self.num_envs} = {self.rollout} is none of {self.batch}."
            )
        if self.lr_end > self.lr:
            raise ConfigError(f"ppo needs lr_min <= lr, not {self.lr_end:g} and {self.lr:g}.")
        if self.workers > 1 and not self.synchronous:
            raise ConfigError(
                "ppo needs --synchronous: gradients of an older policy's games mislead the "
                "newer one."
            )
        if self.workers > 1 and self.target_kl is not None:
            raise ConfigError(
                "ppo cannot have target_kl with several workers: each would leave its batches at "
                "another point, while the others wait for it."
            )

    def resolved(self) -> Self:
        """The same options with ``auto`` and None decided for this machine."""
        device = resolve_device(self.device).type
        return dataclasses.replace(
            super().resolved(),
            network=choose_network(self.network, self.observation, device),
            lr_min=self.lr_end,
            rollout_steps=self.steps,
            minibatch_size=self.batch,
        )

    @property
    def lr_end(self) -> float:
        """What ``lr_min`` means."""
        return min(self.lr, _LR_MIN) if self.lr_min is None else self.lr_min

    @property
    def steps(self) -> int:
        """What ``rollout_steps`` means."""
        if self.rollout_steps is not None:
            return self.rollout_steps
        unit = 1 if self.minibatch_size is None else self.minibatch_size
        unit //= math.gcd(unit, self.num_envs)
        return -(-_STEPS // unit) * unit

    @property
    def batch(self) -> int:
        """What ``minibatch_size`` means."""
        if self.minibatch_size is not None:
            return self.minibatch_size
        return nearest_divisor(self.rollout, _BATCH)

    @property
    def rollout(self) -> int:
        """Agent steps of a worker between two rounds of updates."""
        return self.steps * self.num_envs

    @property
    def total_packets(self) -> int:
        """Packets of gradients in a whole run, which the learning rate's schedule spans."""
        rollouts = -(-self.total_steps // self.rollout)
        batches = self.epochs * (self.rollout // self.batch)
        return rollouts * -(-batches // self.accumulate_grads)
