"""How the processes of a run share the processor's cores."""

from __future__ import annotations

from mario_agents.config import TrainConfig
from mario_envkit.vector.cores import available_cores


def cores_per_worker(config: TrainConfig) -> int:
    """Cores that each worker has for itself, at least 1."""
    return max(available_cores() // max(config.workers, 1), 1)


def torch_threads(config: TrainConfig) -> int:
    """Threads of each process for PyTorch: ``config.torch_threads``, but no more than its share.

    Workers learn at the same time. With more threads than cores each would wait for the slowest of
    its threads, and, if they are synchronous, all of them for the slowest worker. A worker alone
    has as many as it is told, like a run without any.
    """
    if config.workers < 2:
        return config.torch_threads
    return min(config.torch_threads, cores_per_worker(config))
