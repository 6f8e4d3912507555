"""Aggregates the gradient packets of workers into updates."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mario_agents.runtime.transport import GradientPacket, GradientPool


class GradientAggregator:
    """Takes packets out of a pool and averages them.

    Two ways. *Asynchronous*: whatever is there becomes an update, except for packets that were
    computed on weights older by more than ``max_staleness`` versions, which are dropped.
    *Synchronous*: one packet of every worker that is awaited; the others wait until all are there.
    No packet is stale then, and the sum is made in the workers' order, whatever the timing.

    A synchronous worker that sent an empty packet has ended its round, of playing and then
    learning: updates are made without it, and it goes on when the others have ended theirs. So all
    play at the same time and learn at the same time, also after one was replaced in the middle of a
    round; otherwise one would always wait while another one plays.

    Args:
        pool: where the packets come from.
        awaited: whether a worker, by its number, is to send packets; of interest in synchronous
            sharing only.
        max_staleness: versions.
        synchronous: which way.
    """

    def __init__(
        self,
        pool: GradientPool,
        awaited: Callable[[int], bool],
        *,
        max_staleness: int,
        synchronous: bool,
    ) -> None:
        self._pool, self._awaited = pool, awaited
        self._max_staleness, self._synchronous = max_staleness, synchronous
        self._held: dict[int, GradientPacket] = {}
        self._taken: list[GradientPacket] = []
        self.mean = np.zeros(pool.size, dtype=np.float32)
        """The mean gradients of the last :meth:`take` that found some."""
        self.stale = 0
        """Packets dropped because their weights were too old."""
        self.staleness = 0.0
        """Versions that the packets of the last such :meth:`take` were behind, on average."""

    def take(self, version: int) -> int:
        """Average the packets of the next update into :attr:`mean`, and return their number.

        Returns 0, and changes nothing, if there is no update to make yet. The packets keep their
        places until :meth:`release`.

        Args:
            version: of the newest weights.
        """
        packets = self._round() if self._synchronous else self._fresh(version)
        count = len(packets)
        for index, packet in enumerate(packets):
            if index == 0:
                packet.copy_to(self.mean)
            else:
                packet.add_to(self.mean)
        if count > 1:
            self.mean /= count
        if packets:
            self.staleness = sum(version - packet.version for packet in packets) / count
        self._taken = packets
        return count

    def release(self) -> None:
        """Give the places of the packets back, once the weights that they led to are published: a
        synchronous worker takes this as the sign that there are such weights."""
        for packet in self._taken:
            packet.release()
        self._taken = []

    def _fresh(self, version: int) -> list[GradientPacket]:
        """The next packet of every worker that has one which is not too old."""
        found = []
        for worker in range(self._pool.workers):
            packet = self._pool.poll(worker)
            while packet is not None and version - packet.version > self._max_staleness:
                packet.release()
                self.stale += 1
                packet = self._pool.poll(worker)
            if packet is not None:
                found.append(packet)
        return found

    def _round(self) -> list[GradientPacket]:
        """One packet of every worker in the middle of a round, if all of them have sent theirs."""
        while self._all_have_sent():
            packets = [held for _, held in sorted(self._held.items()) if not held.empty]
            if packets:
                for packet in packets:
                    del self._held[packet.worker]
                return packets
            for packet in self._held.values():
                packet.release()
            self._held.clear()
        return []

    def _all_have_sent(self) -> bool:
        for worker in range(self._pool.workers):
            if worker not in self._held:
                packet = self._pool.poll(worker)
                if packet is not None:
                    self._held[worker] = packet
                elif self._awaited(worker):
                    return False
        return bool(self._held)
