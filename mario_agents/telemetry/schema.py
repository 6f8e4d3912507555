"""Names and kinds of metrics; a metric that is not defined here or by a trainer is a mistake."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class MetricKind(Enum):
    """How successive values of a metric become one number."""

    COUNTER = "counter"
    """Only grows; tracking adds."""
    GAUGE = "gauge"
    """The current value; tracking replaces."""
    ROLLING = "rolling"
    """The mean over the last ``window`` tracked values."""


class Across(Enum):
    """How the values of several processes become one; counters are always summed."""

    MEAN = "mean"
    """Of rolling means: weighted by the number of values in each window."""
    SUM = "sum"
    MAX = "max"


@dataclass(frozen=True, slots=True)
class MetricDef:
    """A metric.

    Attributes:
        name: column in CSV files, tag in TensorBoard.
        kind: see :class:`MetricKind`.
        help: what it is, with its unit.
        window: number of values in a rolling mean; of no meaning for other kinds.
        across: how several processes' values are combined; of no meaning for counters. The sum of
            rolling means makes no sense and is refused.
    """

    name: str
    kind: MetricKind
    help: str
    window: int = 100
    across: Across = Across.MEAN

    def __post_init__(self) -> None:
        if self.window < 1:
            raise ValueError(f"the window of {self.name} must be at least 1, got {self.window}")
        if self.kind is MetricKind.ROLLING and self.across is Across.SUM:
            raise ValueError(f"the rolling mean {self.name} cannot be summed over processes")


def counter(name: str, help: str) -> MetricDef:
    """A metric that only grows."""
    return MetricDef(name, MetricKind.COUNTER, help)


def gauge(name: str, help: str, across: Across = Across.MEAN) -> MetricDef:
    """A metric with a current value."""
    return MetricDef(name, MetricKind.GAUGE, help, across=across)


def rolling(name: str, help: str, window: int = 100, across: Across = Across.MEAN) -> MetricDef:
    """A metric that is averaged over its last ``window`` values."""
    return MetricDef(name, MetricKind.ROLLING, help, window, across)


SYSTEM_METRICS: tuple[MetricDef, ...] = (
    counter("steps", "agent steps"),
    counter("episodes", "finished episodes"),
    counter("train_steps", "batches that gradients were computed on"),
    counter("packets", "packets of gradients handed over"),
    gauge("steps_per_second", "agent steps per second over the last ten seconds", Across.SUM),
)
"""Of every process that steps environments."""

TIME_SPAN = gauge("time_span", "seconds since the last row, which the shares of time are of")

TIME_SHARES: tuple[MetricDef, ...] = (
    gauge("time_env", "share of the time since the last row spent stepping environments"),
    gauge("time_inference", "share of that time spent choosing actions"),
    gauge(
        "time_learning",
        "share of that time spent on batches and gradients, and on the optimizer if that is in the "
        "same process",
    ),
    gauge("time_waiting", "share of that time spent waiting for other processes"),
)
"""Where the time of a worker goes; the rest is everything else, such as saving and metrics."""

MARIO_METRICS: tuple[MetricDef, ...] = (
    counter("deaths", "lives lost"),
    counter("flags", "levels cleared"),
    gauge("best_x", "farthest x of the run, in pixels", Across.MAX),
    counter("saves", "snapshots saved"),
    counter("restores", "snapshots gone back to"),
    gauge("stuck", "restores in a row without progress, in the game with most of them", Across.MAX),
    gauge("backward", "way back along the run of a backward curriculum: 1 at the true start"),
    gauge("x_pos", "x at the end of the latest episode, in pixels"),
    rolling("reward", "return of an episode"),
    rolling("episode_length", "agent steps of an episode"),
    rolling("episode_x", "farthest x of an episode, in pixels"),
    rolling("speed", "pixels of new ground per agent step of an episode"),
    rolling("success", "share of episodes that reached the flag, in the full game the last axe"),
)
"""Of the game. Rolling ones are tracked per episode."""

WORKER_METRICS: tuple[MetricDef, ...] = (
    *SYSTEM_METRICS,
    TIME_SPAN,
    *TIME_SHARES,
    *MARIO_METRICS,
)
"""Columns of every ``worker_N.csv``; a learner's own follow."""

DDQN_METRICS: tuple[MetricDef, ...] = (
    gauge("epsilon", "probability of a random action, mean over environments"),
    gauge("buffer_size", "transitions in the replay buffer", Across.SUM),
    rolling("loss", "training loss"),
    rolling("q_mean", "mean value of the taken actions"),
    rolling("q_max", "largest value in a batch", across=Across.MAX),
    rolling("td_error", "mean absolute temporal-difference error"),
)
"""Of a worker with a value-based learner, tracked per batch."""

PPO_METRICS: tuple[MetricDef, ...] = (
    gauge(
        "explained_variance", "1 if the values foresaw the returns of a rollout, 0 if not at all"
    ),
    rolling("loss", "training loss"),
    rolling("policy_loss", "clipped objective, negated"),
    rolling("value_loss", "error of the values"),
    rolling("entropy", "undecidedness of the policy, in nats"),
    rolling("approx_kl", "divergence of the policy from that of the rollout, in nats"),
    rolling("clip_fraction", "share of actions whose probability left the clip range"),
)
"""Of a worker with PPO; the rolling ones are tracked per batch."""

COORDINATOR_SHARES: tuple[MetricDef, ...] = (
    gauge("optimizing", "share of the time since the last row spent in optimizer steps"),
    gauge("waiting", "share of the time since the last row spent waiting for gradients"),
)
"""Where the time of the coordinator goes."""

COORDINATOR_METRICS: tuple[MetricDef, ...] = (
    gauge("seconds", "wall-clock seconds of training, those before a resume included"),
    counter("updates", "optimizer steps"),
    counter("packets", "packets of gradients that updates were made of"),
    counter("stale", "packets dropped because their weights were too old"),
    gauge("lr", "learning rate"),
    gauge("updates_per_second", "optimizer steps per second over the last ten seconds"),
    TIME_SPAN,
    *COORDINATOR_SHARES,
    rolling("staleness", "updates that the weights of an applied packet were behind"),
    rolling("grad_norm", "gradient norm before clipping"),
)
"""Of the process that owns the optimizer (``coordinator.csv``)."""

EVAL_METRICS: tuple[MetricDef, ...] = (
    gauge("eval_success", "share of greedy episodes that reached the flag, or won the full game"),
    gauge("eval_x", "mean farthest x of greedy episodes, in pixels"),
    gauge("eval_reward", "mean return of greedy episodes"),
    gauge("eval_stages", "mean number of stages cleared in greedy episodes of the full game"),
    gauge("eval_sticky_success", "the share of greedy episodes with sticky actions"),
    gauge("eval_best", "mean of both shares in the best evaluation so far"),
)
"""Of evaluations during training (``coordinator.csv``)."""
