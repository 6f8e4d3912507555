"""How the processes of a run share the processor's cores."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from contextlib import suppress

from mario_agents.config import TrainConfig
from mario_envkit.vector.cores import available_cores

_AVAILABLE = available_cores()
_ALLOWED = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
"""When this process began; :func:`keep_to_own_cores` changes what the system says later on."""


def keep_to_own_cores(config: TrainConfig, worker: int) -> None:
    """Let this process, which is a worker, run on its share of the cores only, if there are enough
    for all workers and they are synchronous.

    Synchronous workers sleep after every batch of gradients. Whenever they wake up, the scheduler
    may have them meet on one core while another one idles, or move them away from their caches.
    """
    if sys.platform != "linux" or config.engine == "ray":  # which shares out the cores itself
        return
    if config.cpu_affinity and config.synchronous and 2 <= config.workers <= len(_ALLOWED):
        first, end = (len(_ALLOWED) * each // config.workers for each in (worker, worker + 1))
        with suppress(OSError):  # somebody else has taken cores away since, or forbids it
            os.sched_setaffinity(0, _ALLOWED[first:end])


def all_cores() -> Collection[int]:
    """Numbers of the cores that the processes of the run may use; empty where nobody knows."""
    return _ALLOWED


def cores_per_worker(config: TrainConfig) -> int:
    """Cores that each worker has for itself, at least 1."""
    if config.engine == "ray":
        return max(int(config.worker_cpus), 1)
    return max(_AVAILABLE // max(config.workers, 1), 1)


def torch_threads(config: TrainConfig) -> int:
    """Threads of each process for PyTorch: ``config.torch_threads``, but no more than its share.

    Workers learn at the same time. With more threads than cores each would wait for the slowest of
    its threads, and, if they are synchronous, all of them for the slowest worker. A worker alone
    has as many as it is told, like a run without any.
    """
    if config.workers < 2 and config.engine != "ray":
        return config.torch_threads
    return min(config.torch_threads, cores_per_worker(config))
