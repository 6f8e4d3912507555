"""Collectors: what turns the steps, episodes and batches of a process into metrics."""

from mario_agents.telemetry.collectors.composite import CompositeCollector
from mario_agents.telemetry.collectors.coordinator import CoordinatorCollector
from mario_agents.telemetry.collectors.learner import LearnerCollector
from mario_agents.telemetry.collectors.mario import MarioCollector
from mario_agents.telemetry.collectors.protocol import MetricCollector
from mario_agents.telemetry.collectors.system import SystemCollector

__all__ = [
    "CompositeCollector",
    "CoordinatorCollector",
    "LearnerCollector",
    "MarioCollector",
    "MetricCollector",
    "SystemCollector",
]
