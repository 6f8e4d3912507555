"""Options of ``mario-agents train impala`` and ``mario-agents train a3c``."""

from __future__ import annotations

import dataclasses
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

ReplayShare = Annotated[float, Meta(ge=0, le=0.9375)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImpalaConfig(SelfImitationConfig):
    """Configuration of the trainers ``impala`` and ``a3c``; the reasons for the defaults are in the
    README."""

    SCHEDULABLE: ClassVar[frozenset[str]] = SelfImitationConfig.SCHEDULABLE | {
        "entropy_beta",
        "gamma",
    }

    num_envs: PositiveInt = 16
    """Number of environments that a worker steps together."""
    sync_every: PositiveInt = 1
    """Agent steps after which a worker that shares experience looks for newer weights, before its
    next round."""

    rounds_ahead: Annotated[int, Meta(ge=2)] = 2
    """Rounds that a worker that shares experience may have played and the learner not taken in yet;
    fewer keep its weights nearer to the newest. Where they take much memory there are at most 4."""

    rollout_steps: PositiveInt = 8
    """Steps of an unroll, through which gradients flow back."""
    batch_unrolls: PositiveInt | None = None
    """New unrolls in a batch; None is one of each environment of a worker."""
    gamma: Fraction = 0.9
    """Discount for each agent step."""
    returns: Literal["vtrace", "gae"] = "vtrace"
    """V-trace, which corrects for actions of an older policy, or GAE, which takes them for its
    own."""
    trace_lambda: Fraction = 0.95
    """Between one-step errors (0) and whole returns (1)."""
    rho_bar: PositiveFloat = 1.0
    """V-trace: bound of probability ratios that errors of values count with."""
    c_bar: PositiveFloat = 1.0
    """V-trace: bound of probability ratios that later errors are passed on with."""
    pg_rho_bar: PositiveFloat = 1.0
    """V-trace: bound of probability ratios in the policy gradient."""
    pg_clip: PositiveFloat | None = None
    """Instead of that bound: good actions gain nothing by being likelier, nor bad ones by being
    less likely, than when they were played by more than this share (PPO's clip; pg_rho_bar and leak
    do not count then); None is V-trace's policy gradient."""
    leak: Fraction = 0.0
    """V-trace: share of the unbounded ratio in each bounded one (leaky V-trace)."""

    replay_share: ReplayShare = 0.75
    """Share of old unrolls in a batch, beside the new ones."""
    replay_size: PositiveInt = 8_000
    """Agent steps that old unrolls are drawn from: of each worker, or with shared experience of all
    together."""
    per: bool = False
    """Draw old unrolls by how wrong their values were, instead of all alike."""
    per_alpha: Fraction = 0.6
    """How much that counts: 0 not at all."""
    per_beta: Fraction = 0.4
    """How far the bias of it is corrected: 1 fully."""
    trust_region: PositiveFloat | None = None
    """Learn nothing from steps where the policy has moved farther from the one that played (KL
    divergence in nats); None learns from all."""

    entropy_beta: NonNegativeFloat = 0.01
    """Reward for undecided action choices at first."""
    entropy_beta_end: NonNegativeFloat = 0.01
    """The same at the end of total_steps; in between a straight line; any other is for
    schedule."""
    value_coef: NonNegativeFloat = 0.5
    """Weight of the value loss."""
    value_huber: PositiveFloat | None = 1.0
    """Errors of values count linearly beyond this (Huber loss); None squares them."""
    normalize_advantage: Literal["batch", "level", "none"] = "batch"
    """Over what advantages are brought to mean 0 and deviation 1; level is over the steps of a
    batch in the same level (with tiles), so that levels with small rewards count as much. Levels
    with less than 32 steps in a batch are taken together."""

    optimizer: Literal["adamw", "rmsprop"] = "adamw"
    """AdamW, or RMSProp with the numbers of IMPALA."""
    weight_decay: NonNegativeFloat = 0.0
    """Of AdamW."""
    lr: PositiveFloat = 1.5e-3
    """Learning rate after the warm-up."""
    lr_min: NonNegativeFloat | None = None
    """Learning rate at the end of the cosine decay, which lasts total_steps; None is a tenth."""
    lr_warmup: NonNegativeInt = 0
    """Packets of gradients (with one worker: updates) over which the learning rate rises from 0."""
    clip_grad: PositiveFloat = 0.5
    """Gradients with a larger norm are scaled down to it."""

    noisy: bool = False
    """Explore by noise in the weights of the last layers, drawn once for an unroll."""
    noise_sigma: PositiveFloat = 0.5
    """Size of this noise at first."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lr_end > self.lr:
            raise ConfigError(f"lr_min must not be more than lr, {self.lr_end:g} > {self.lr:g}.")

    def resolved(self) -> Self:
        """The same options with ``auto`` and None decided for this machine."""
        return dataclasses.replace(super().resolved(), lr_min=self.lr_end, batch_unrolls=self.batch)

    def scheduled(self, name: str) -> Schedule:
        """Also what ``entropy_beta_end`` says."""
        if name == "entropy_beta" and name not in self.schedules:
            return Schedule(self.entropy_beta, self.entropy_beta_end, 0, self.total_steps)
        return super().scheduled(name)

    @property
    def by_level(self) -> bool:
        """Whether advantages are normalised within levels."""
        return self.normalize_advantage == "level"

    @property
    def lr_end(self) -> float:
        """What ``lr_min`` means."""
        return 0.1 * self.lr if self.lr_min is None else self.lr_min

    @property
    def batch(self) -> int:
        """What ``batch_unrolls`` means."""
        return self.num_envs if self.batch_unrolls is None else self.batch_unrolls

    @property
    def replayed(self) -> int:
        """Old unrolls in a batch."""
        return round(self.batch * self.replay_share / (1.0 - self.replay_share))

    @property
    def batch_steps(self) -> int:
        """Those of new and old unrolls."""
        return (self.batch + self.replayed) * self.rollout_steps

    @property
    def demo_length(self) -> int:
        """Those of an unroll, or 1 without memory."""
        return self.rollout_steps if self.remembers else 1

    @property
    def discount(self) -> float:
        """``gamma``."""
        return self.gamma

    @property
    def most_waiting(self) -> int:
        """New unrolls beyond those of a batch that may wait for a learner that workers feed."""
        if self.error_buffer is None:
            return self.batch
        return -(-self.error_buffer // self.rollout_steps)

    def storage_steps(self, workers: int) -> int:
        """Agent steps that are kept of so many workers: at least those of two rounds of each, and
        of all unrolls that may wait."""
        unrolls = 2 * self.num_envs + self.batch + self.most_waiting
        waiting = self.rollout_steps * unrolls * workers
        return max(waiting, self.replay_size) if self.replayed else waiting

    @property
    def total_packets(self) -> int:
        """Packets of gradients in a whole run, which the learning rate's schedule spans."""
        batches = -(-self.total_steps // (self.batch * self.rollout_steps))
        return max(batches // self.accumulate_grads, 1)
