"""What turns a worker's and the coordinator's doings into metrics."""

from mario_agents.metrics.collectors.composite import CompositeCollector
from mario_agents.metrics.collectors.coordinator import CoordinatorCollector
from mario_agents.metrics.collectors.ddqn import DDQNCollector
from mario_agents.metrics.collectors.learner import LearnerCollector
from mario_agents.metrics.collectors.mario import MarioCollector
from mario_agents.metrics.collectors.ppo import PPOCollector
from mario_agents.metrics.collectors.protocol import MetricCollector
from mario_agents.metrics.collectors.system import SystemCollector

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
