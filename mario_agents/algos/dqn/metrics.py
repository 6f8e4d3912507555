"""What the trainers of this package measure beside the game."""

from __future__ import annotations

from mario_agents.telemetry.collectors import LearnerCollector
from mario_agents.telemetry.logger import MetricLogger
from mario_agents.telemetry.schema import Across, gauge, rolling

METRICS = (
    rolling("loss", "training loss", headline=True),
    rolling("q_mean", "mean value of the taken actions", panel="Q"),
    rolling("td_error", "mean absolute temporal-difference error", panel="TD error"),
    rolling("q_max", "largest value in a batch", across=Across.MAX, panel="Q"),
    rolling(
        "margin_loss",
        "with demonstrations: how far other actions' values reach into the margin below theirs",
        panel="Demonstrations",
    ),
    rolling(
        "demo_accuracy",
        "with demonstrations: share of them whose action has the largest value",
        panel="Demonstrations",
    ),
    gauge(
        "epsilon",
        "probability of a random action, mean over environments",
        label="ε",
        panel="Exploration",
        headline=True,
    ),
    gauge("buffer_size", "transitions in the replay buffer", Across.SUM, panel=None),
)
"""The rolling ones are tracked for each batch, the gauges for each round of steps."""

APEX_METRICS = (
    *METRICS,
    gauge("beta", "how far prioritized sampling is corrected for, from 0 to 1", panel=None),
)
"""What Ape-X measures; samples per insert and the lag of weights are measured for every algorithm
whose workers share experience."""


class DDQNCollector(LearnerCollector):
    """Tracks :data:`METRICS`, for a worker that is put together by hand."""

    def __init__(self, logger: MetricLogger) -> None:
        super().__init__(logger, METRICS)
