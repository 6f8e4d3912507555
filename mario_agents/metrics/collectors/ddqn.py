"""What double DQN measures."""

from __future__ import annotations

from typing import ClassVar

from mario_agents.metrics.collectors.learner import LearnerCollector
from mario_agents.metrics.schema import DDQN_METRICS, MetricDef


class DDQNCollector(LearnerCollector):
    """Tracks :data:`~mario_agents.metrics.schema.DDQN_METRICS`."""

    METRICS: ClassVar[tuple[MetricDef, ...]] = DDQN_METRICS
