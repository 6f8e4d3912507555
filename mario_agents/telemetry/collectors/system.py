"""The collector of throughput: steps, episodes, batches and steps per second."""

from __future__ import annotations

from collections.abc import Mapping

from mario_agents.telemetry.episodes import CollectResult, Episode
from mario_agents.telemetry.logger import MetricLogger
from mario_agents.telemetry.rate import Rate
from mario_agents.telemetry.schema import SYSTEM_METRICS


class SystemCollector:
    """Tracks :data:`~mario_agents.telemetry.schema.SYSTEM_METRICS`."""

    METRICS = SYSTEM_METRICS

    def __init__(self, logger: MetricLogger) -> None:
        self._logger = logger
        self._steps = 0
        self._rate = Rate()

    def on_step(self, info: CollectResult) -> None:
        """Count the steps."""
        self._steps += info.steps
        self._logger.track("steps", info.steps)

    def on_episode_end(self, info: Episode) -> None:
        """Count it."""
        self._logger.track("episodes")

    def on_train_step(self, metrics: Mapping[str, float]) -> None:
        """Count it."""
        self._logger.track("train_steps")

    def flush(self) -> None:
        """Bring the speed up to date."""
        self._logger.track("steps_per_second", self._rate.update(self._steps))
