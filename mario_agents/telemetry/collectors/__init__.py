"""What turns a worker's and the coordinator's doings into metrics."""

from mario_agents.telemetry.collectors.composite import CompositeCollector
from mario_agents.telemetry.collectors.coordinator import CoordinatorCollector
from mario_agents.telemetry.collectors.ddqn import DDQNCollector
from mario_agents.telemetry.collectors.learner import LearnerCollector
from mario_agents.telemetry.collectors.mario import MarioCollector
from mario_agents.telemetry.collectors.ppo import PPOCollector
from mario_agents.telemetry.collectors.protocol import MetricCollector
from mario_agents.telemetry.collectors.system import SystemCollector

__all__ = [
    "CompositeCollector",
    "CoordinatorCollector",
    "DDQNCollector",
    "LearnerCollector",
    "MarioCollector",
    "MetricCollector",
    "PPOCollector",
    "SystemCollector",
]
