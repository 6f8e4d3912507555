"""The plug-in ``dreamer``."""

from __future__ import annotations

from mario_agents.algos.dreamer.algorithm import DreamerAlgorithm
from mario_agents.runtime.trainer import AlgorithmTrainer

TRAINER = AlgorithmTrainer(
    DreamerAlgorithm(),
    "DreamerV3: a world model that is learned from replayed sequences, and an actor that learns in "
    "its imagination.",
)
