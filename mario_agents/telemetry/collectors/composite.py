"""Several collectors as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mario_agents.telemetry.collectors.protocol import MetricCollector
from mario_agents.telemetry.episodes import CollectResult, Episode


class CompositeCollector:
    """Calls each of its collectors, in their order."""

    def __init__(self, collectors: Iterable[MetricCollector]) -> None:
        self._collectors = tuple(collectors)

    def on_step(self, info: CollectResult) -> None:
        """Pass on a round of steps."""
        for collector in self._collectors:
            collector.on_step(info)

    def on_episode_end(self, info: Episode) -> None:
        """Pass on an ended episode."""
        for collector in self._collectors:
            collector.on_episode_end(info)

    def on_train_step(self, metrics: Mapping[str, float]) -> None:
        """Pass on what was measured on a batch."""
        for collector in self._collectors:
            collector.on_train_step(metrics)

    def flush(self) -> None:
        """Flush all of them."""
        for collector in self._collectors:
            collector.flush()
