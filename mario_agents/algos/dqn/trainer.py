"""The plug-in ``ddqn``."""

from __future__ import annotations

from mario_agents.algos.dqn.algorithm import DDQNAlgorithm
from mario_agents.runtime.trainer import AlgorithmTrainer

TRAINER = AlgorithmTrainer(
    DDQNAlgorithm(),
    "Dueling double DQN with n-step returns and uniform or prioritized replay, from pixels or from "
    "tiles.",
)
