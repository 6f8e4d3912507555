"""The plug-in ``ppo``."""

from __future__ import annotations

from mario_agents.algos.ppo.algorithm import PPOAlgorithm
from mario_agents.runtime.trainer import AlgorithmTrainer

TRAINER = AlgorithmTrainer(
    PPOAlgorithm(),
    "Proximal policy optimization, from pixels or from tiles; the fastest way to a flag.",
)
