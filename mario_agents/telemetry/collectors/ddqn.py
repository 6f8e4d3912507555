"""What double DQN measures."""

from __future__ import annotations

from typing import ClassVar

from mario_agents.telemetry.collectors.learner import LearnerCollector
from mario_agents.telemetry.schema import DDQN_METRICS, MetricDef


class DDQNCollector(LearnerCollector):
    """Tracks :data:`~mario_agents.telemetry.schema.DDQN_METRICS`."""

    METRICS: ClassVar[tuple[MetricDef, ...]] = DDQN_METRICS
