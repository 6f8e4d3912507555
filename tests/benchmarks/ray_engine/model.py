"""A run with many workers as a simulation of discrete events, from service times of a real one.

A worker plays (and, if gradients are shared, learns) for a round, sends a packet as soon as fewer
than ``slots`` of its packets are under way, fetches the newest weights, and goes on. The learner is
one server. With shared gradients it takes the next packet of every worker that has sent one, or, if
they are synchronous, waits for all, adds them up, which takes ``handling`` for each, and makes one
update of them; synchronous workers go on after that. With shared experience it
takes the packets as they come, and makes as many updates for each as the trainer's options ask for.

Times of a round and of what the learner does vary about their means by a gamma distribution. Each
worker has a core of its own, unless ``cores`` says how many there are for all together.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import simpy

VARIATION = 0.25
"""Standard deviation of a service time, as a share of its mean."""
BANDWIDTH = 1.25e9
"""Bytes a second of the learner's network: 10 Gbit/s."""
WIRE_SECONDS = 2e-4
"""From one machine to another."""
SLICE_SECONDS = 0.01
"""After so long another one gets the core."""
ROUNDS, PACKETS = 60, 8_000
"""A simulation ends after so many rounds of each worker, or so many packets, the first third of
which is left out."""


class Times(NamedTuple):
    """Service times of a trainer, in seconds, and what else its run consists of.

    Attributes:
        shares: "gradients" or "experience".
        synchronous: whether an update takes one packet of every worker, and all wait for it.
        round: of a worker, for a packet; without waiting, sending and weights.
        handling: of the learner, for a packet.
        update: of the learner.
        updates: for each packet, if workers share experience.
        pull: of newest weights.
        beside: CPU of other processes for a packet.
        bytes: of a packet.
        slots: packets of a worker that may be under way.
    """

    shares: str
    synchronous: bool
    round: float
    handling: float
    update: float
    updates: float
    pull: float
    beside: float
    bytes: int
    slots: int


class Packet(NamedTuple):
    """On its way: its slot, the version of the weights it is of, and an event."""

    slot: Any
    version: float
    taken: Any


class Simulated(NamedTuple):
    """What came of it.

    Attributes:
        packets: a second, that the learner took.
        learner: share of the time in which it was busy.
        waits: share of the time in which workers waited for the learner.
        lag: updates that the weights of a packet were behind.
    """

    packets: float
    learner: float
    waits: float
    lag: float


@dataclass
class Run:
    """A run in simulated time.

    Args:
        times: of its parts.
        workers: how many.
        cores: of one machine for all together; None gives each a core of its own.
        seed: of the variation.
    """

    times: Times
    workers: int
    cores: int | None = None
    seed: int = 0
    version: float = 0.0
    taken: int = 0
    busy: float = 0.0
    waited: float = 0.0
    lags: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.env = simpy.Environment()
        self._random = random.Random(self.seed)
        self._cores = simpy.Resource(self.env, self.cores) if self.cores else None
        self._wire = simpy.Resource(self.env, 1)
        self._slots = [simpy.Resource(self.env, self.times.slots) for _ in range(self.workers)]
        self._arrived: list[deque[Packet]] = [deque() for _ in range(self.workers)]
        self._news = self.env.event()
        for number in range(self.workers):
            self.env.process(self._work(number))
        self.env.process(self._learn())

    def result(self) -> Simulated:
        """Simulate, and leave out how it begins."""
        packets = min(ROUNDS * self.workers, PACKETS)
        self._until(packets // 3)
        begun, taken, busy, waited = self.env.now, self.taken, self.busy, self.waited
        self.lags.clear()
        self._until(packets)
        span = self.env.now - begun
        return Simulated(
            (self.taken - taken) / span,
            (self.busy - busy) / span,
            (self.waited - waited) / span / self.workers,
            sum(self.lags) / max(len(self.lags), 1),
        )

    def _until(self, packets: int) -> None:
        while self.taken < packets:
            self.env.step()

    def _work(self, number: int) -> Iterator[Any]:
        yield self.env.timeout(self._random.random() * self.times.round)
        while True:
            version = self.version
            yield from self._compute(self._varied(self.times.round))
            begun, slot = self.env.now, self._slots[number].request()
            yield slot
            taken = self.env.event()
            self.env.process(self._send(number, Packet(slot, version, taken)))
            if self.times.synchronous:
                yield taken
            self.waited += self.env.now - begun
            yield self.env.timeout(self.times.pull)

    def _send(self, number: int, packet: Packet) -> Iterator[Any]:
        if self._cores is None:
            with self._wire.request() as turn:
                yield turn
                yield self.env.timeout(self.times.bytes / BANDWIDTH)
            yield self.env.timeout(WIRE_SECONDS)
        else:
            yield from self._compute(self.times.beside)
        self._arrived[number].append(packet)
        if not self._news.triggered:
            self._news.succeed()

    def _learn(self) -> Iterator[Any]:
        times = self.times
        while True:
            ready = [number for number, queue in enumerate(self._arrived) if queue]
            if len(ready) < (self.workers if times.synchronous else 1):
                yield self._news
                self._news = self.env.event()
                continue
            packets = [(number, self._arrived[number].popleft()) for number in ready]
            if times.shares == "gradients":
                seconds = len(packets) * times.handling + times.update
                yield from self._serve(seconds, len(packets))
                self._took(packets)
                self.version += 1
            else:
                for packet in packets:
                    yield from self._serve(times.handling + times.updates * times.update)
                    self._took([packet])
                    self.version += times.updates

    def _serve(self, seconds: float, packets: int = 1) -> Iterator[Any]:
        begun = self.env.now
        yield from self._compute(self._varied(seconds, packets))
        self.busy += self.env.now - begun

    def _took(self, packets: list[tuple[int, Packet]]) -> None:
        for number, packet in packets:
            self._slots[number].release(packet.slot)
            packet.taken.succeed()
            self.lags.append(self.version - packet.version)
            self.taken += 1

    def _compute(self, seconds: float) -> Iterator[Any]:
        if self._cores is None:
            yield self.env.timeout(seconds)
            return
        while seconds > 0:
            with self._cores.request() as core:
                yield core
                part = min(seconds, SLICE_SECONDS)
                yield self.env.timeout(part)
                seconds -= part

    def _varied(self, mean: float, parts: int = 1) -> float:
        """A time that consists of parts, each of which varies."""
        shape = parts * VARIATION**-2
        return self._random.gammavariate(shape, mean / shape) if mean > 0 else 0.0
