"""The collector of the coordinator: optimizer steps and what they measure."""

from __future__ import annotations

from collections.abc import Mapping

from mario_agents.telemetry.logger import MetricLogger
from mario_agents.telemetry.rate import Rate


class CoordinatorCollector:
    """Counts updates and tracks what they measured (``lr``, ``grad_norm``...).

    Args:
        logger: with :data:`~mario_agents.telemetry.schema.COORDINATOR_METRICS`; numbers that it
        does
            not define are left out.
    """

    def __init__(self, logger: MetricLogger) -> None:
        self._logger = logger
        self._names = frozenset(logger.names)
        self._updates = 0
        self._rate = Rate()

    def on_update(self, metrics: Mapping[str, float]) -> None:
        """An optimizer step was made."""
        self._updates += 1
        self._logger.track("updates")
        for name, value in metrics.items():
            if name in self._names:
                self._logger.track(name, value)

    def flush(self) -> None:
        """Bring the speed up to date."""
        self._logger.track("updates_per_second", self._rate.update(self._updates))
