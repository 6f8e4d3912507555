"""The collector of an algorithm's own metrics, by the definitions that the algorithm gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mario_agents.telemetry.episodes import CollectResult, Episode
from mario_agents.telemetry.logger import MetricLogger
from mario_agents.telemetry.schema import MetricDef


class LearnerCollector:
    """Tracks the numbers of a worker's experience and learner that an algorithm has defined.

    Args:
        logger: with these metrics.
        metrics: the algorithm's; what else its loss measures is left out.
    """

    def __init__(self, logger: MetricLogger, metrics: Iterable[MetricDef]) -> None:
        self._logger = logger
        self._names = frozenset(metric.name for metric in metrics)

    def on_step(self, info: CollectResult) -> None:
        """Track the gauges of a round of steps."""
        self._track(info.gauges)

    def on_episode_end(self, info: Episode) -> None:
        """Of no interest."""

    def on_train_step(self, metrics: Mapping[str, float]) -> None:
        """Track what the learner measured on a batch."""
        self._track(metrics)

    def flush(self) -> None:
        """Nothing is held back."""

    def _track(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            if name in self._names:
                self._logger.track(name, value)
