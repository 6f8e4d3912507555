"""Several collectors as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mario_agents.telemetry.collectors.protocol import MetricCollector
from mario_agents.telemetry.episodes import CollectResult, Episode


class CompositeCollector:
    """Tells each of its collectors everything, in their order."""

    def __init__(self, collectors: Iterable[MetricCollector]) -> None:
        self._collectors = tuple(collectors)

    def on_step(self, info: CollectResult) -> None:
        """See :class:`~mario_agents.telemetry.collectors.protocol.MetricCollector`."""
        for collector in self._collectors:
            collector.on_step(info)

    def on_episode_end(self, info: Episode) -> None:
        """See :class:`~mario_agents.telemetry.collectors.protocol.MetricCollector`."""
        for collector in self._collectors:
            collector.on_episode_end(info)

    def on_train_step(self, metrics: Mapping[str, float]) -> None:
        """See :class:`~mario_agents.telemetry.collectors.protocol.MetricCollector`."""
        for collector in self._collectors:
            collector.on_train_step(metrics)

    def flush(self) -> None:
        """See :class:`~mario_agents.telemetry.collectors.protocol.MetricCollector`."""
        for collector in self._collectors:
            collector.flush()
