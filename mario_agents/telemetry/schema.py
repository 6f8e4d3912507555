"""What a metric is, and the metrics of every run, whatever its algorithm.

An algorithm says in a module of its own what else it measures (``algos/ppo/metrics.py``); nothing
in this package, the dashboard or the report knows an algorithm's metrics by name.
"""

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
    """The definition of a metric: how its values are combined, and how it is shown.

    Attributes:
        name: column in CSV files, tag in TensorBoard and Weights & Biases.
        kind: see :class:`MetricKind`.
        help: what it is, with its unit.
        label: what people read, short; by default the name with spaces.
        panel: title of the figure in the report, and of the line in the dashboard, that shows it
            together with the other metrics of that panel; by default one of its own. None keeps it
            out of both: then it is only in rows.
        headline: one of the few numbers to look at first. The progress line shows all of them. Of
            those of an algorithm the dashboard draws the first as a curve, and the second for each
            worker.
        share: a number from 0 to 1, to be drawn on such an axis.
        window: number of values in a rolling mean; of no meaning for other kinds.
        across: how several processes' values are combined; of no meaning for counters. The sum of
            rolling means makes no sense and is refused.
    """

    name: str
    kind: MetricKind
    help: str
    label: str = ""
    panel: str | None = ""
    headline: bool = False
    share: bool = False
    window: int = 100
    across: Across = Across.MEAN

    def __post_init__(self) -> None:
        if self.window < 1:
            raise ValueError(f"the window of {self.name} must be at least 1, got {self.window}")
        if self.kind is MetricKind.ROLLING and self.across is Across.SUM:
            raise ValueError(f"the rolling mean {self.name} cannot be summed over processes")
        label = self.label or self.name.replace("_", " ")
        object.__setattr__(self, "label", label)
        if self.panel == "":
            object.__setattr__(self, "panel", label[:1].upper() + label[1:])


def counter(
    name: str,
    help: str,
    *,
    label: str = "",
    panel: str | None = None,
    headline: bool = False,
) -> MetricDef:
    """A metric that only grows; unless it is given a panel it is only in rows."""
    return MetricDef(name, MetricKind.COUNTER, help, label, panel, headline)


def gauge(
    name: str,
    help: str,
    across: Across = Across.MEAN,
    *,
    label: str = "",
    panel: str | None = "",
    headline: bool = False,
    share: bool = False,
) -> MetricDef:
    """A metric with a current value."""
    return MetricDef(
        name, MetricKind.GAUGE, help, label, panel, headline, share=share, across=across
    )


def rolling(
    name: str,
    help: str,
    window: int = 100,
    across: Across = Across.MEAN,
    *,
    label: str = "",
    panel: str | None = "",
    headline: bool = False,
    share: bool = False,
) -> MetricDef:
    """A metric that is averaged over its last ``window`` values."""
    return MetricDef(name, MetricKind.ROLLING, help, label, panel, headline, share, window, across)


SYSTEM_METRICS: tuple[MetricDef, ...] = (
    counter("steps", "agent steps"),
    counter("episodes", "finished episodes"),
    counter("train_steps", "batches that gradients were computed on"),
    counter("packets", "packets of gradients handed over"),
    gauge(
        "steps_per_second",
        "agent steps per second over the last ten seconds",
        Across.SUM,
        label="steps/s",
        panel="Speed",
    ),
)
"""Of every process that steps environments."""

TIME_SPAN = gauge(
    "time_span", "seconds since the last row, which the shares of time are of", panel=None
)

TIME_SHARES: tuple[MetricDef, ...] = (
    gauge(
        "time_env",
        "share of the time since the last row spent stepping environments",
        label="env",
        panel=None,
    ),
    gauge(
        "time_inference",
        "share of that time spent choosing actions",
        label="inference",
        panel=None,
    ),
    gauge(
        "time_learning",
        "share of that time spent on batches and gradients, and on the optimizer if that is in the "
        "same process",
        label="learning",
        panel=None,
    ),
    gauge(
        "time_waiting",
        "share of that time spent waiting for other processes",
        label="waiting",
        panel=None,
    ),
)
"""Where the time of a worker goes; the rest is everything else, such as saving and metrics."""

MARIO_METRICS: tuple[MetricDef, ...] = (
    gauge("best_x", "farthest x of the run, in pixels", Across.MAX, panel=None, headline=True),
    counter("deaths", "lives lost", headline=True),
    counter("flags", "levels cleared", headline=True),
    counter("saves", "snapshots saved"),
    counter("restores", "snapshots gone back to"),
    gauge(
        "stuck",
        "restores in a row without progress, in the game with most of them",
        Across.MAX,
        panel=None,
    ),
    rolling("reward", "return of an episode", label="return"),
    rolling(
        "success",
        "share of true starts that reached the flag, in the full game the last axe, unaided",
        panel="Success in training",
        share=True,
    ),
    rolling("episode_x", "farthest x of an episode, in pixels", panel="Progress"),
    rolling("episode_length", "agent steps of an episode"),
    rolling("speed", "pixels of new ground per agent step of an episode", panel=None),
    gauge("x_pos", "x at the end of the latest episode, in pixels", panel=None),
    gauge(
        "backward",
        "way back along the run of a backward curriculum: 1 at the true start",
        panel="Backward curriculum",
        share=True,
    ),
)
"""Of the game. Rolling ones are tracked per episode."""

WORKER_METRICS: tuple[MetricDef, ...] = (
    *SYSTEM_METRICS,
    TIME_SPAN,
    *TIME_SHARES,
    *MARIO_METRICS,
)
"""Columns of every ``worker_N.csv``; those of the algorithm follow."""

COORDINATOR_SHARES: tuple[MetricDef, ...] = (
    gauge("optimizing", "share of the time since the last row in optimizer steps", panel=None),
    gauge(
        "waiting",
        "share of the time since the last row spent waiting for gradients, or steps",
        panel=None,
    ),
)
"""Where the time of the coordinator goes."""

EXPERIENCE_SHARES: tuple[MetricDef, ...] = (
    gauge("learning", "share of the time since the last row in batches and gradients", panel=None),
    gauge("inserting", "share of the time since the last row taking in steps", panel=None),
)
"""Where the time of a coordinator goes that learns from the experience of workers."""

EXPERIENCE_METRICS: tuple[MetricDef, ...] = (
    counter("inserted", "agent steps that the learner took in"),
    counter("train_steps", "batches that gradients were computed on"),
    gauge(
        "samples_per_insert",
        "how often a step has been drawn on average",
        label="samples/insert",
        panel="Samples per insert",
    ),
    rolling(
        "lag",
        "updates that the weights were behind with which the steps were played that came in",
        label="lag",
        panel="Lag of the weights",
    ),
    gauge("chunks_waiting", "packets of steps that the learner has not taken in", panel=None),
    *EXPERIENCE_SHARES,
)
"""Of a coordinator that learns from the experience of workers."""

COORDINATOR_METRICS: tuple[MetricDef, ...] = (
    gauge("seconds", "wall-clock seconds of training, those before a resume included", panel=None),
    counter("updates", "optimizer steps"),
    counter("packets", "packets of gradients that updates were made of"),
    counter("stale", "packets dropped because their weights were too old", label="dropped"),
    gauge("lr", "learning rate", panel="Learning rate"),
    gauge(
        "updates_per_second",
        "optimizer steps per second over the last ten seconds",
        label="updates/s",
        panel=None,
    ),
    TIME_SPAN,
    *COORDINATOR_SHARES,
    rolling("staleness", "updates that the weights of an applied packet were behind", panel=None),
    rolling("grad_norm", "gradient norm before clipping", panel="Gradient norm"),
)
"""Of the process that owns the optimizer (``coordinator.csv``)."""

EVAL_METRICS: tuple[MetricDef, ...] = (
    gauge(
        "eval_success",
        "share of greedy episodes that reached the flag, or won the full game",
        panel=None,
    ),
    gauge("eval_x", "mean farthest x of greedy episodes, in pixels", panel=None),
    gauge("eval_reward", "mean return of greedy episodes", label="eval return", panel=None),
    gauge(
        "eval_stages",
        "mean number of stages cleared in greedy episodes of the full game",
        panel=None,
    ),
    gauge(
        "eval_sticky_success",
        "the share of greedy episodes with sticky actions",
        label="sticky",
        panel=None,
    ),
    gauge(
        "eval_best", "mean of both shares in the best evaluation so far", label="best", panel=None
    ),
)
"""Of evaluations during training (``coordinator.csv``); the report draws them from
``evaluations.jsonl``, which has every episode."""
