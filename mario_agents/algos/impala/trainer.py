"""The plug-ins ``impala`` and ``a3c``."""

from __future__ import annotations

from mario_agents.algos.impala.algorithm import A3CAlgorithm
from mario_agents.runtime.trainer import AlgorithmTrainer

A3C = AlgorithmTrainer(
    A3CAlgorithm(),
    "Asynchronous advantage actor-critic with V-trace, with memory or without; workers share "
    "gradients.",
)
