"""The plug-ins ``impala`` and ``a3c``."""

from __future__ import annotations

from mario_agents.algos.impala.algorithm import A3CAlgorithm, ImpalaAlgorithm
from mario_agents.runtime.trainer import AlgorithmTrainer

IMPALA = AlgorithmTrainer(
    ImpalaAlgorithm(),
    "Actor-critic with V-trace, with memory or without; workers play, one learner learns from "
    "them all.",
)
A3C = AlgorithmTrainer(
    A3CAlgorithm(),
    "Asynchronous advantage actor-critic with V-trace, with memory or without; workers share "
    "gradients.",
)
