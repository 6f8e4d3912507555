"""What PPO measures."""

from __future__ import annotations

from typing import ClassVar

from mario_agents.metrics.collectors.learner import LearnerCollector
from mario_agents.metrics.schema import PPO_METRICS, MetricDef


class PPOCollector(LearnerCollector):
    """Tracks :data:`~mario_agents.metrics.schema.PPO_METRICS`."""

    METRICS: ClassVar[tuple[MetricDef, ...]] = PPO_METRICS
