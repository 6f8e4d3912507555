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


@dataclass(frozen=True, slots=True)
class MetricDef:
    """A metric.

    Attributes:
        name: column in CSV files, tag in TensorBoard.
        kind: see :class:`MetricKind`.
        help: what it is, with its unit.
        window: number of values in a rolling mean; of no meaning for other kinds.
    """

    name: str
    kind: MetricKind
    help: str
    window: int = 100

    def __post_init__(self) -> None:
        if self.window < 1:
            raise ValueError(f"the window of {self.name} must be at least 1, got {self.window}")


def counter(name: str, help: str) -> MetricDef:
    """A metric that only grows."""
    return MetricDef(name, MetricKind.COUNTER, help)


def gauge(name: str, help: str) -> MetricDef:
    """A metric with a current value."""
    return MetricDef(name, MetricKind.GAUGE, help)


def rolling(name: str, help: str, window: int = 100) -> MetricDef:
    """A metric that is averaged over its last ``window`` values."""
    return MetricDef(name, MetricKind.ROLLING, help, window)


WORKER_METRICS: tuple[MetricDef, ...] = (
    counter("steps", "agent steps"),
    counter("episodes", "finished episodes"),
    counter("deaths", "lives lost"),
    counter("flags", "levels cleared"),
    gauge("best_x", "farthest x of the run, in pixels"),
    gauge("x_pos", "x at the end of the latest episode, in pixels"),
    gauge("epsilon", "probability of a random action, mean over environments"),
    gauge("buffer_size", "transitions in the replay buffer"),
    gauge("steps_per_second", "agent steps per second of wall-clock time since the last row"),
    rolling("reward", "return of an episode"),
    rolling("episode_length", "agent steps of an episode"),
    rolling("episode_x", "farthest x of an episode, in pixels"),
    rolling("speed", "pixels of new ground per agent step of an episode"),
    rolling("success", "share of episodes that reached the flag"),
)
"""Of a process that steps environments (``worker_N.csv``). Rolling ones are tracked per episode."""

COORDINATOR_METRICS: tuple[MetricDef, ...] = (
    counter("updates", "optimizer steps"),
    gauge("lr", "learning rate"),
    gauge("updates_per_second", "optimizer steps per second since the last row"),
    rolling("loss", "training loss"),
    rolling("q_mean", "mean value of the taken actions"),
    rolling("q_max", "largest value in a batch"),
    rolling("td_error", "mean absolute temporal-difference error"),
    rolling("grad_norm", "gradient norm before clipping"),
)
"""Of the process that owns the optimizer (``coordinator.csv``), for value-based learners."""
