"""What a packet costs the learner's process on Ray, while packets come as fast as one worker sends.

In a run whose learner mostly waits, its process also spends CPU seconds on waiting: reports twice a
second, and Ray's own threads. Here it has none to spare, as with many workers: a worker's real link
sends packets and fetches newest weights for each, and a thread beside the actor's calls takes them,
adds them up and publishes weights.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import numpy as np

from mario_agents.runtime.exchange import WAIT_SECONDS
from mario_agents.runtime.ray.cluster import joined
from mario_agents.runtime.ray.coordinator_actor import CoordinatorActor, LoopNotifier, WorkerEnd
from mario_agents.runtime.ray.link import Link, RemoteNumbers
from mario_agents.runtime.ray.messages import Sizes
from mario_agents.runtime.ray.supervisor import COORDINATOR_CALLS
from mario_agents.runtime.shm.byte_ring import ByteRing
from mario_agents.runtime.shm.heartbeat import SharedHeartbeat
from mario_agents.runtime.shm.notifier import ThreadNotifier
from mario_agents.runtime.shm.shared_weights import SharedWeights
from tests.benchmarks.ray_engine.packets import Packets

WARM_UP, PACKETS = 30, 150


class _Learner(CoordinatorActor):
    """A coordinator's actor whose learner only adds packets up."""

    def __init__(self, packets: Packets) -> None:
        self._packets = packets
        self._sizes, self._shared = Sizes(packets.weights, 0), (0, None)
        self._weights = SharedWeights.private(size=packets.weights)
        self._board = SharedHeartbeat.private(workers=1)
        self._open, self._states = asyncio.Event(), 0

    async def begin(self) -> None:
        """Take packets from now on."""
        news, wake = LoopNotifier(asyncio.get_running_loop()), ThreadNotifier()
        ring = ByteRing.private(
            slots=self._packets.slots, capacity=self._packets.bytes, producer=news, consumer=wake
        )
        self._ends = [WorkerEnd(ring, news)]
        self._open.set()
        threading.Thread(target=self._add_up, args=(ring,), daemon=True).start()

    async def cpu(self) -> float:
        """CPU seconds of this process so far."""
        return time.process_time()

    def _add_up(self, ring: ByteRing) -> None:
        total = np.zeros(self._packets.bytes // 4, dtype=np.float32)
        vector = np.zeros(self._packets.weights, dtype=np.float32)
        while True:
            packet = ring.receive()
            if packet is None:
                ring.wait_for_packet(WAIT_SECONDS)
                continue
            total += packet.data[: total.nbytes].view(np.float32)
            self._weights.publish(vector)
            packet.release()


def handling_seconds(packets: list[Packets]) -> list[float]:
    """CPU of the learner's process for a packet, updates left out, for each kind of packet."""
    import ray

    with joined(None, cpus=2, runtime_env=None):
        return [_handling(ray, each) for each in packets]


def _handling(ray: Any, packets: Packets) -> float:
    options = {"num_cpus": 1, "max_concurrency": COORDINATOR_CALLS}
    actor = ray.remote(_Learner).options(**options).remote(packets)
    ray.get(actor.begin.remote())
    link = Link(actor, 0, 0, packets.slots)
    numbers, data = RemoteNumbers(link), np.zeros(packets.bytes, dtype=np.uint8)
    out, version = np.empty(packets.weights, dtype=np.float32), 0

    def send(count: int) -> None:
        nonlocal version
        for _ in range(count):
            while not link.has_room():
                link.wait(WAIT_SECONDS)
            link.send(data, 0)
            version = numbers.read(out, version) or version

    send(WARM_UP)
    before = ray.get(actor.cpu.remote())
    send(PACKETS)
    link.close()
    seconds = ray.get(actor.cpu.remote()) - before
    ray.kill(actor)
    return float(seconds) / PACKETS
