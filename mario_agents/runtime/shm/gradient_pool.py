"""Gradients on their way from the workers to the coordinator, in shared memory.

One ring of packets per worker. Each ring has a single producer (the worker) and a single consumer
(the coordinator), so it needs no lock: the producer alone moves the *head*, the consumer alone the
*tail*, both count packets since the run began, and packet ``n`` lies in slot ``n % slots``.

Why no half-written packet is ever read: the producer writes a slot that the consumer does not own
(head - tail < slots), in the order *mark 0, data, mark n + 1, head n + 1*, with a
:class:`~mario_agents.runtime.shm.atomics.Fence` after every step; the consumer looks at packet
``n`` only after it has seen a head beyond ``n``, with a fence in between, and takes it only if the
mark says ``n + 1``. A producer that is killed anywhere before the last step has published nothing.
Its replacement reads the head from shared memory and goes on with the same packet number and slot.

A packet may be *empty*: its worker has no gradients to give, and waits until this packet is
released.

The consumer has a :class:`~mario_agents.runtime.shm.notifier.Notifier`, and so has every producer:
publishing wakes the one, releasing the other.

The consumer's mark check fails only if two producers write into one ring (a worker was replaced
while it still lived). Such packets are passed over and counted as ``rejected``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mario_agents.runtime.shm.atomics import (
    LINE,
    Fence,
    Memory,
    atomic_words,
    kind_of,
    read_header,
    round_up,
    write_header,
)
from mario_agents.runtime.shm.bfloat16 import BLOCK, narrow, widen
from mario_agents.runtime.shm.notifier import Notifier
from mario_agents.runtime.shm.segments import SharedSegments, attach
from mario_envkit.errors import OptionError

PacketType = Literal["float32", "bfloat16"]

_KIND = kind_of("marioGP1")
_ITEM_BYTES: dict[PacketType, int] = {"float32": 4, "bfloat16": 2}
_TYPES: tuple[PacketType, ...] = ("float32", "bfloat16")

# Words of a ring, the producer's and the consumer's on lines of their own.
_HEAD, _DROPPED = 0, 1
_TAIL, _REJECTED = 0, 1
# Words of a slot.
_MARK, _VERSION, _EMPTY = range(3)


@dataclass(frozen=True, slots=True)
class RingStats:
    """What has gone through one worker's ring since the run began, across its restarts.

    Attributes:
        published: packets that :meth:`SharedGradientPool.publish` took.
        dropped: packets that it refused because the ring was full.
        read: packets that were released by the consumer.
        rejected: packets that did not carry their number (see the module).
    """

    published: int
    dropped: int
    read: int
    rejected: int


class GradientPacket:
    """One worker's gradients, in the shared memory itself; good until :meth:`release`.

    Attributes:
        worker: who computed them.
        sequence: 0, 1, 2... of this worker's packets, across its restarts.
        version: of the weights that they were computed on.
        empty: whether there are none: the worker waits, and the rest has no meaning.
    """

    __slots__ = ("_bits", "_ring", "empty", "sequence", "version", "worker")

    def __init__(self, ring: _Ring, worker: int, sequence: int) -> None:
        self.worker, self.sequence = worker, sequence
        self.version, self.empty = ring.header(sequence)
        self._ring = ring
        self._bits: NDArray[Any] = ring.data[sequence % len(ring.data)]

    @property
    def vector(self) -> NDArray[np.float32]:
        """``(size,)`` float32: the shared memory itself, only to be read, if packets are float32;
        else a widened copy."""
        if self._bits.dtype == np.float32:
            return self._bits.view(np.float32)
        copy = np.empty(self._bits.shape, dtype=np.float32)
        self.copy_to(copy)
        return copy

    def copy_to(self, out: NDArray[np.float32]) -> None:
        """Write the gradients into ``out`` ``(size,)``."""
        if self._bits.dtype == np.float32:
            np.copyto(out, self._bits)
        else:
            widen(self._bits, out)

    def add_to(self, total: NDArray[np.float32]) -> None:
        """Add the gradients to ``total`` ``(size,)``."""
        if self._bits.dtype == np.float32:
            np.add(total, self._bits, out=total)
            return
        scratch = np.empty(min(BLOCK, total.size), dtype=np.float32)
        for start in range(0, total.size, BLOCK):
            part = total[start : start + BLOCK]
            widen(self._bits[start : start + BLOCK], scratch[: part.size])
            np.add(part, scratch[: part.size], out=part)

    def release(self) -> None:
        """Give the slot back to the worker, and with it those of its earlier packets."""
        self._ring.release(self.sequence)


class SharedGradientPool:
    """The rings of all workers. See the module for how it works.

    One process makes it with :meth:`create`; the others :meth:`attach` by name. Each worker calls
    :meth:`publish` for its own ring only, from one thread; one process calls :meth:`poll`, from one
    thread. No call ever waits.

    Attributes:
        name, notifiers: of the segment, and those of the workers and of the consumer, in this
            order, for :meth:`attach`. They travel with the pool to a process that is started.
        workers, size, slots, dtype: as given to :meth:`create`.
    """

    def __init__(self, name: str, memory: Memory, notifiers: Sequence[Notifier]) -> None:
        """Of memory that is formatted already; use :meth:`create` or :meth:`attach`."""
        fields = read_header(memory, _KIND, 4, "a gradient pool")
        self.name, self.notifiers = name, notifiers
        self.workers, self.size, self.slots = fields[:3]
        self.dtype: PacketType = _TYPES[fields[3]]
        fence = Fence()
        step = _ring_bytes(self.size, self.slots, self.dtype)
        self._rings = [
            _Ring(memory[start : start + step], self.size, self.slots, self.dtype, fence, notifier)
            for start, notifier in zip(
                range(LINE, LINE + self.workers * step, step), notifiers[:-1], strict=True
            )
        ]
        self._turn = 0

    @classmethod
    def create(
        cls,
        segments: SharedSegments,
        *,
        workers: int,
        size: int,
        slots: int = 4,
        dtype: PacketType = "float32",
    ) -> SharedGradientPool:
        """A new, empty pool.

        Args:
            segments: the run's, which removes the memory at its end.
            workers: number of rings.
            size: floats in a packet.
            slots: packets that a ring holds; at least 2, so that a worker can write one while
                another is read.
            dtype: of packets in memory; bfloat16 halves them, rounding to nearest even.

        Raises:
            OptionError: if a number makes no sense.
            RunError: if there is not so much shared memory.
        """
        if workers < 1 or size < 1 or slots < 2 or dtype not in _TYPES:
            raise OptionError(
                f"A gradient pool needs workers >= 1, size >= 1, slots >= 2 and dtype one of "
                f"{_TYPES}, but got {workers}, {size}, {slots} and {dtype!r}."
            )
        name, memory = segments.create(LINE + workers * _ring_bytes(size, slots, dtype))
        write_header(memory, _KIND, [workers, size, slots, _TYPES.index(dtype)])
        return cls(name, memory, [Notifier() for _ in range(workers + 1)])

    @classmethod
    def attach(cls, name: str, notifiers: Sequence[Notifier]) -> SharedGradientPool:
        """The pool that another process made.

        Raises:
            RunError: if it is gone, or the segment is something else.
        """
        return cls(name, attach(name), notifiers)

    def __reduce__(self) -> tuple[object, ...]:
        return SharedGradientPool.attach, (self.name, self.notifiers)

    def publish(self, worker: int, vector: NDArray[np.float32] | None, version: int) -> bool:
        """Copy ``vector`` ``(size,)`` float32, C-contiguous, into the worker's ring.

        Args:
            worker: whose ring.
            vector: gradients; None for an empty packet.
            version: of the weights that they were computed on.

        Returns:
            False if the ring is full: nothing was written, and the packet counts as dropped. To
            wait instead, ask :meth:`has_room` first.

        Raises:
            OptionError: if the vector has another shape or type.
        """
        if vector is not None:
            self._check(vector)
        published = self._rings[worker].publish(vector, version)
        if published:
            self.notifiers[-1].notify()
        return published

    def has_room(self, worker: int) -> bool:
        """Whether the worker's next :meth:`publish` will be taken (it stays so until then)."""
        return self._rings[worker].has_room()

    def poll(self, worker: int | None = None) -> GradientPacket | None:
        """The next packet of a worker, in the order of publishing, or None if there is none.

        Without ``worker``: of whichever worker has one, all taking turns. A packet polled and not
        yet released keeps its slot; several of a worker may be out at a time, up to ``slots``.
        """
        if worker is not None:
            return self._take(worker)
        for _ in range(self.workers):
            turn, self._turn = self._turn, (self._turn + 1) % self.workers
            packet = self._take(turn)
            if packet is not None:
                return packet
        return None

    def waiting(self, worker: int) -> int:
        """Packets of a worker that are published and not yet released."""
        return self._rings[worker].waiting()

    def wait_for_packet(self, seconds: float) -> bool:
        """Sleep until a packet is published, at most ``seconds``; returns whether one may have
        been since the last call. For the process that polls."""
        return self.notifiers[-1].wait(seconds)

    def wait_for_release(self, worker: int, seconds: float) -> bool:
        """Sleep until a packet of ``worker`` is released, at most ``seconds``; returns whether one
        may have been since the last call. For the process that publishes."""
        return self.notifiers[worker].wait(seconds)

    def stats(self, worker: int) -> RingStats:
        """The worker's counts so far; any process may ask."""
        return self._rings[worker].stats()

    def _take(self, worker: int) -> GradientPacket | None:
        ring = self._rings[worker]
        sequence = ring.take()
        return None if sequence is None else GradientPacket(ring, worker, sequence)

    def _check(self, vector: NDArray[np.float32]) -> None:
        contiguous = vector.flags.c_contiguous
        if vector.shape != (self.size,) or vector.dtype != np.float32 or not contiguous:
            raise OptionError(
                f"Gradients for this pool are contiguous float32 of shape ({self.size},), not "
                f"{'' if contiguous else 'strided '}{vector.dtype} of shape {vector.shape}."
            )


class _Ring:
    """One worker's ring; the methods are grouped by who calls them."""

    def __init__(
        self,
        memory: Memory,
        size: int,
        slots: int,
        dtype: PacketType,
        fence: Callable[[], None],
        producer: Notifier,
    ) -> None:
        self.fence, self._notifier = fence, producer
        self._producer, self._consumer = atomic_words(memory, 0, 2), atomic_words(memory, LINE, 2)
        self._slots: list[memoryview[int]] = []
        self.data: list[NDArray[Any]] = []
        step = _slot_bytes(size, dtype)
        for start in range(2 * LINE, 2 * LINE + slots * step, step):
            self._slots.append(atomic_words(memory, start, 3))
            bits = memory[start + LINE : start + LINE + size * _ITEM_BYTES[dtype]]
            self.data.append(bits.view(np.float32 if dtype == "float32" else np.uint16))
        self._narrow = dtype == "bfloat16"
        self._next = self._consumer[_TAIL]
        self._passed_over: set[int] = set()

    # The producer's.

    def has_room(self) -> bool:
        return self._producer[_HEAD] - self._consumer[_TAIL] < len(self._slots)

    def publish(self, vector: NDArray[np.float32] | None, version: int) -> bool:
        if not self.has_room():
            self._producer[_DROPPED] += 1
            return False
        head = self._producer[_HEAD]
        slot = self._slots[head % len(self._slots)]
        self.fence()  # the consumer has read the old packet before it moved its tail
        slot[_MARK] = 0
        self.fence()
        slot[_VERSION], slot[_EMPTY] = version, vector is None
        if vector is not None:
            self.write(vector, self.data[head % len(self._slots)])
        self.fence()
        slot[_MARK] = head + 1
        self.fence()
        self._producer[_HEAD] = head + 1
        return True

    def write(self, vector: NDArray[np.float32], out: NDArray[Any]) -> None:
        if self._narrow:
            narrow(vector, out)
        else:
            np.copyto(out, vector)

    # The consumer's.

    def take(self) -> int | None:
        """The number of the next whole packet, which is then the caller's until released."""
        head = self._producer[_HEAD]
        self.fence()
        while self._next < head:
            sequence = self._next
            self._next += 1
            if self._slots[sequence % len(self._slots)][_MARK] == sequence + 1:
                return sequence
            self._consumer[_REJECTED] += 1
            self._passed_over.add(sequence)
            self._give_back(self._consumer[_TAIL])
        return None

    def header(self, sequence: int) -> tuple[int, bool]:
        """Version, and whether the packet is empty."""
        slot = self._slots[sequence % len(self._slots)]
        return slot[_VERSION], slot[_EMPTY] != 0

    def release(self, sequence: int) -> None:
        self.fence()  # all reads of the packet come before the producer may overwrite it
        self._give_back(max(self._consumer[_TAIL], sequence + 1))
        self._notifier.notify()

    def _give_back(self, tail: int) -> None:
        """Move the tail to ``tail`` and over rejected packets, which nobody releases."""
        while tail in self._passed_over:
            self._passed_over.remove(tail)
            tail += 1
        self._consumer[_TAIL] = tail

    # Anybody's.

    def waiting(self) -> int:
        return self._producer[_HEAD] - self._consumer[_TAIL]

    def stats(self) -> RingStats:
        # The tail first: it never overtakes a head that is read later.
        tail, rejected = self._consumer[_TAIL], self._consumer[_REJECTED]
        self.fence()
        head, dropped = self._producer[_HEAD], self._producer[_DROPPED]
        return RingStats(head, dropped, tail - rejected, rejected)


def _slot_bytes(size: int, dtype: PacketType) -> int:
    return LINE + round_up(size * _ITEM_BYTES[dtype])


def _ring_bytes(size: int, slots: int, dtype: PacketType) -> int:
    return 2 * LINE + slots * _slot_bytes(size, dtype)
