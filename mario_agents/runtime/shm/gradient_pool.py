"""Gradients on their way from the workers to the coordinator, in shared memory.

One :class:`~mario_agents.runtime.shm.byte_ring.ByteRing` for each worker, whose packets are vectors
of float32 or bfloat16, tagged with the version of the weights that they were computed on. A packet
may be *empty*: its worker has no gradients to give, and waits until this packet is released. The
coordinator is woken by a packet of any worker.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mario_agents.runtime.shm.atomics import LINE, Memory, kind_of, read_header, write_header
from mario_agents.runtime.shm.bfloat16 import BLOCK, widen
from mario_agents.runtime.shm.byte_ring import ByteRing, RingPacket, RingStats
from mario_agents.runtime.shm.notifier import Notifier, ProcessNotifier
from mario_agents.runtime.shm.segments import SharedSegments, attach
from mario_agents.runtime.transport import Numbers, PacketType
from mario_envkit.errors import OptionError

_KIND = kind_of("marioGP2")
_ITEM_BYTES: dict[PacketType, int] = {"float32": 4, "bfloat16": 2}
_TYPES: tuple[PacketType, ...] = ("float32", "bfloat16")


class SharedPacket:
    """Implements :class:`mario_agents.runtime.transport.GradientPacket`: one worker's gradients, in
    the shared memory itself; good until :meth:`release`.

    Attributes:
        worker: who computed them.
        sequence: 0, 1, 2... of this worker's packets, across its restarts.
        version: of the weights that they were computed on.
        empty: whether there are none: the worker waits.
    """

    __slots__ = ("_bits", "_packet", "empty", "sequence", "version", "worker")

    def __init__(self, worker: int, packet: RingPacket, dtype: PacketType) -> None:
        self.worker, self.sequence, self.version = worker, packet.sequence, packet.tag
        self.empty = packet.data.size == 0
        self._packet = packet
        self._bits: NDArray[Any] = packet.data.view(np.float32 if dtype == "float32" else np.uint16)

    @property
    def vector(self) -> NDArray[np.float32]:
        """``(size,)`` float32: the shared memory itself, only to be read, if packets are float32;
        else a widened copy."""
        if self._bits.dtype == np.float32:
            return self._bits
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
        self._packet.release()


class SharedGradientPool:
    """Implements :class:`mario_agents.runtime.transport.GradientPool`: the rings of all workers.
    See the module for how it works.

    One process makes it with :meth:`create`; it travels to the processes that are started. Each
    worker calls :meth:`publish` for its own ring only, from one thread; one process calls
    :meth:`poll`, from one thread. Only :meth:`wait_for_packet` and :meth:`wait_for_release` wait.

    Attributes:
        name, notifiers: of the segment, and those of the workers and of the consumer, in this
            order, for :meth:`attach`.
        workers, size, slots, dtype: as given to :meth:`create`.
        rings: of the workers, by number.
    """

    def __init__(self, name: str, memory: Memory, notifiers: Sequence[Notifier]) -> None:
        """Of memory that is formatted already; use :meth:`create` or :meth:`attach`."""
        fields = read_header(memory, _KIND, 4, "a gradient pool")
        self.name, self.notifiers = name, notifiers
        self.workers, self.size, self.slots = fields[:3]
        self.dtype: PacketType = _TYPES[fields[3]]
        self.rings = [
            ByteRing(part, producer=notifier, consumer=notifiers[-1])
            for part, notifier in zip(
                _parts(memory, self.workers, self.slots, self._bytes), notifiers[:-1], strict=True
            )
        ]

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
        total = _pool_bytes(workers, size, slots, dtype)
        name, memory = segments.create(total)
        _format(memory, workers, size, slots, dtype)
        return cls(name, memory, [ProcessNotifier() for _ in range(workers + 1)])

    @classmethod
    def private(
        cls, *, size: int, slots: int, dtype: PacketType, notifiers: Sequence[Notifier]
    ) -> SharedGradientPool:
        """A new, empty pool in this process's own memory; one notifier for each worker, and the
        consumer's. The others are those of :meth:`create`.

        Raises:
            OptionError: if a number makes no sense.
        """
        workers = len(notifiers) - 1
        memory = np.zeros(_pool_bytes(workers, size, slots, dtype), dtype=np.uint8)
        _format(memory, workers, size, slots, dtype)
        return cls("", memory, notifiers)

    @classmethod
    def attach(cls, name: str, notifiers: Sequence[Notifier]) -> SharedGradientPool:
        """The pool that another process made.

        Raises:
            RunError: if it is gone, or the segment is something else.
        """
        return cls(name, attach(name), notifiers)

    def __reduce__(self) -> tuple[object, ...]:
        return SharedGradientPool.attach, (self.name, self.notifiers)

    def publish(self, worker: int, write: Callable[[Numbers], object] | None, version: int) -> bool:
        """Put a packet into the worker's ring.

        Args:
            worker: whose ring.
            write: is given the packet's numbers, ``(size,)`` in the shared memory itself, with
                whatever is in them, to fill them in: float32, or the bits of bfloat16 as uint16.
                None for an empty packet.
            version: of the weights that the gradients were computed on.

        Returns:
            False if the ring is full: nothing was written, and the packet counts as dropped. To
            wait instead, ask :meth:`has_room` first.
        """
        if write is None:
            return self.rings[worker].send(0, tag=version)
        kind = np.float32 if self.dtype == "float32" else np.uint16
        return self.rings[worker].send(
            self._bytes, lambda data: write(data.view(kind)), tag=version
        )

    def has_room(self, worker: int) -> bool:
        """Whether the worker's next :meth:`publish` will be taken (it stays so until then)."""
        return self.rings[worker].has_room()

    def wait_for_release(self, worker: int, seconds: float) -> bool:
        """For a worker: sleep until a packet of it is released, at most ``seconds``; returns
        whether one may have been since the last call."""
        return self.rings[worker].wait_for_release(seconds)

    def poll(self, worker: int) -> SharedPacket | None:
        """The next packet of a worker, in the order of publishing, or None if there is none.

        A packet polled and not yet released keeps its slot; several of a worker may be out at a
        time, up to ``slots``.
        """
        packet = self.rings[worker].receive()
        return None if packet is None else SharedPacket(worker, packet, self.dtype)

    def wait_for_packet(self, seconds: float) -> bool:
        """For the process that polls: sleep until a packet of any worker is published, at most
        ``seconds``; returns whether one may have been since the last call."""
        return self.notifiers[-1].wait(seconds)

    def waiting(self, worker: int) -> int:
        """Packets of a worker that are published and not yet released."""
        return self.rings[worker].waiting

    def stats(self, worker: int) -> RingStats:
        """The worker's counts so far; any process may ask."""
        return self.rings[worker].stats()

    @property
    def _bytes(self) -> int:
        return self.size * _ITEM_BYTES[self.dtype]


def _pool_bytes(workers: int, size: int, slots: int, dtype: PacketType) -> int:
    if workers < 1 or size < 1 or slots < 2 or dtype not in _TYPES:
        raise OptionError(
            f"A gradient pool needs workers >= 1, size >= 1, slots >= 2 and dtype one of "
            f"{_TYPES}, but got {workers}, {size}, {slots} and {dtype!r}."
        )
    return LINE + workers * ByteRing.bytes(slots, size * _ITEM_BYTES[dtype])


def _format(memory: Memory, workers: int, size: int, slots: int, dtype: PacketType) -> None:
    capacity = size * _ITEM_BYTES[dtype]
    for part in _parts(memory, workers, slots, capacity):
        ByteRing.format(part, slots, capacity)
    write_header(memory, _KIND, [workers, size, slots, _TYPES.index(dtype)])


def _parts(memory: Memory, workers: int, slots: int, capacity: int) -> list[Memory]:
    """The memory of each ring."""
    step = ByteRing.bytes(slots, capacity)
    return [memory[start : start + step] for start in range(LINE, LINE + workers * step, step)]
