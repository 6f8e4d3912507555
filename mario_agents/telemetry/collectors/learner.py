"""What a learner measures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from mario_agents.telemetry.episodes import CollectResult, Episode
from mario_agents.telemetry.logger import MetricLogger
from mario_agents.telemetry.schema import MetricDef


class LearnerCollector:
    """Tracks those of a worker's and learner's numbers that :attr:`METRICS` defines.

    An algorithm subclasses it and names its metrics; what else its loss measures is left out.
    """

    METRICS: ClassVar[tuple[MetricDef, ...]] = ()

    def __init__(self, logger: MetricLogger) -> None:
        self._logger = logger
        self._names = frozenset(metric.name for metric in self.METRICS)

    def on_step(self, info: CollectResult) -> None:
        """Track the gauges."""
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
