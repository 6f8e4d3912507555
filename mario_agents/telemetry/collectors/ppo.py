"""What PPO measures."""

from __future__ import annotations

from typing import ClassVar

from mario_agents.telemetry.collectors.learner import LearnerCollector
from mario_agents.telemetry.schema import PPO_METRICS, MetricDef


class PPOCollector(LearnerCollector):
    """Tracks :data:`~mario_agents.telemetry.schema.PPO_METRICS`."""

    METRICS: ClassVar[tuple[MetricDef, ...]] = PPO_METRICS
