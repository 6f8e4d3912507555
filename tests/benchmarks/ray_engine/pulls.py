"""How long the newest weights take from the learner to a worker, while nobody else asks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from statistics import median
from typing import Any

import numpy as np

from mario_agents.runtime.ray.cluster import joined
from mario_agents.runtime.ray.coordinator_actor import CoordinatorActor
from mario_agents.runtime.ray.link import RemoteNumbers
from mario_agents.runtime.ray.messages import Sizes
from mario_agents.runtime.shm.shared_weights import SharedWeights
from tests.benchmarks.ray_engine.measured import Engine

PULLS = 100


class _Weights(CoordinatorActor):
    """A coordinator's actor that has weights and nothing else."""

    def __init__(self, size: int) -> None:
        self._weights = SharedWeights.private(size=size)
        self._sizes, self._shared = Sizes(size, 0), (0, None)
        self._vector = np.zeros(size, dtype=np.float32)

    async def publish(self) -> int:
        """Newer weights."""
        return self._weights.publish(self._vector)


class _Link:
    """As much of a worker's link as pulls weights."""

    def __init__(self, actor: Any) -> None:
        self._actor, self.state = actor, self
        self.version = 0

    def weights(self, newer_than: int) -> Any:
        import ray

        version, (reference,) = ray.get(self._actor.weights.remote(newer_than))
        return version, ray.get(reference)


def pull_seconds(engine: Engine, sizes: Iterable[int]) -> dict[int, float]:
    """Median by the number of weights."""
    if engine == "processes":
        return {size: _from_memory(size) for size in sizes}
    import ray

    with joined(None, cpus=2, runtime_env=None):
        return {size: _from_actor(ray, size) for size in sizes}


def _from_memory(size: int) -> float:
    weights, out = SharedWeights.private(size=size), np.empty(size, dtype=np.float32)
    return _median(lambda: weights.publish(out), lambda: weights.read(out))


def _from_actor(ray: Any, size: int) -> float:
    actor = ray.remote(_Weights).options(num_cpus=1).remote(size)
    link, out = _Link(actor), np.empty(size, dtype=np.float32)
    numbers = RemoteNumbers(link)  # type: ignore[arg-type]

    def publish() -> None:
        link.version = ray.get(actor.publish.remote())

    found = _median(publish, lambda: numbers.read(out, link.version - 1))
    ray.kill(actor)
    return found


def _median(publish: Callable[[], object], pull: Callable[[], object]) -> float:
    found = []
    for _ in range(PULLS):
        publish()
        begun = time.perf_counter()
        pull()
        found.append(time.perf_counter() - begun)
    return median(found)
