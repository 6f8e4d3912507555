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
    Schedule,
)
from mario_agents.imitation.self_imitation import SelfImitationConfig
from mario_envkit.errors import ConfigError

if TYPE_CHECKING:
    from typing_extensions import Self


_LR_MIN, _STEPS, _BATCH, _SEQUENCE = 1e-3, 64, 256, 16


def nearest_divisor(number: int, wanted: int) -> int:
    """The divisor of ``number`` that is the fewest times larger or smaller than ``wanted``."""
    small = [d for d in range(1, math.isqrt(number) + 1) if number % d == 0]
    divisors = {*small, *(number // d for d in small)}
    return min(sorted(divisors), key=lambda d: max(d / wanted, wanted / d))


@dataclasses.dataclass(frozen=True, kw_only=True)
class PPOConfig(SelfImitationConfig):
    """Configuration of the trainer ``ppo``; the reasons for the defaults are in its README."""

    SCHEDULABLE: ClassVar[frozenset[str]] = SelfImitationConfig.SCHEDULABLE | {
        "entropy_coef",
        "gamma",
        "lr",
    }

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
    sequence_steps: PositiveInt | None = None
    """With memory (recurrent_type): steps of an environment that stay together in a batch, and
    through which gradients flow back; rollout_steps and minibatch_size must be multiples of it.
    None is 16, or what divides them and is nearest to that."""
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
    """The same at the end of total_steps; in between a straight line; any other is for
    schedule."""
    normalize_advantage: Literal["minibatch", "rollout", "level", "none"] = "minibatch"
    """Over what advantages are brought to mean 0 and deviation 1; level is over the steps of a
    rollout in the same level (with tiles), so that levels with small rewards count as much."""
    target_kl: PositiveFloat | None = None
    """Leave the rest of a rollout's batches once the policy has moved this far (approximate KL
    divergence in nats); None uses all of them."""

    lr: PositiveFloat = 1e-3
    """Learning rate of Adam after the warm-up. With a schedule of it neither warm-up nor cosine
    decay count."""
    lr_min: NonNegativeFloat | None = None
    """Learning rate at the end of the cosine decay, which lasts total_steps; None is 1e-3, or lr if
    that is less."""
    lr_warmup: NonNegativeInt = 0
    """Packets of gradients (with one worker: updates) over which the learning rate rises from 0."""
    max_grad_norm: PositiveFloat = 0.5
    """Gradients with a larger norm are scaled down to it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps % self.sequence or self.batch % self.sequence:
            raise ConfigError(
                "ppo needs rollout_steps and minibatch_size to be multiples of sequence_steps, but "
                f"{self.steps} and {self.batch} are not both multiples of {self.sequence}."
            )
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
        return dataclasses.replace(
            super().resolved(),
            lr_min=self.lr_end,
            rollout_steps=self.steps,
            minibatch_size=self.batch,
            sequence_steps=self.sequence if self.remembers else self.sequence_steps,
        )

    def scheduled(self, name: str) -> Schedule:
        """Also what ``entropy_coef_end`` says."""
        if name == "entropy_coef" and name not in self.schedules:
            return Schedule(self.entropy_coef, self.entropy_coef_end, 0, self.total_steps)
        return super().scheduled(name)

    @property
    def by_level(self) -> bool:
        """Whether advantages are normalised within levels."""
        return self.normalize_advantage == "level"

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
        return self.sequence * nearest_divisor(
            self.rollout // self.sequence, max(1, _BATCH // self.sequence)
        )

    @property
    def sequence(self) -> int:
        """What ``sequence_steps`` means; 1 without memory, where steps need not stay together."""
        if not self.remembers:
            return 1
        if self.sequence_steps is not None:
            return self.sequence_steps
        return nearest_divisor(math.gcd(self.steps, self.minibatch_size or 0), _SEQUENCE)

    @property
    def rollout(self) -> int:
        """Agent steps of a worker between two rounds of updates."""
        return self.steps * self.num_envs

    @property
    def batch_steps(self) -> int:
        """Those of a minibatch."""
        return self.batch

    @property
    def demo_length(self) -> int:
        """Those of a sequence."""
        return self.sequence

    @property
    def discount(self) -> float:
        """``gamma``."""
        return self.gamma

    @property
    def total_packets(self) -> int:
        """Packets of gradients in a whole run, which the learning rate's schedule spans."""
        rollouts = -(-self.total_steps // self.rollout)
        batches = rollouts * self.epochs * (self.rollout // self.batch)
        return max(batches // self.accumulate_grads, 1)
