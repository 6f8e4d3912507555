"""A bounded ring of packets of bytes in shared memory, from one producer to one consumer.

It needs no lock: the producer alone moves the *head*, the consumer alone the *tail*, both count
packets since the run began, and packet ``n`` lies in slot ``n % slots``.

Why no half-written packet is ever read: the producer writes a slot that the consumer does not own
(head - tail < slots), in the order *mark 0, data, mark n + 1, head n + 1*, with a
:class:`~mario_agents.runtime.shm.atomics.Fence` after every step; the consumer looks at packet
``n`` only after it has seen a head beyond ``n``, with a fence in between, and takes it only if the
mark says ``n + 1``. A producer that is killed anywhere before the last step has published nothing.
Its replacement reads the head from shared memory and goes on with the same packet number and slot.

The consumer's mark check fails only if two producers write into one ring (a worker was replaced
while it still lived). Such packets are passed over and counted as ``rejected``.

Sending wakes the consumer, releasing the producer, see :mod:`~mario_agents.runtime.shm.notifier`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

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
from mario_agents.runtime.shm.notifier import Notifier, ProcessNotifier, ThreadNotifier
from mario_agents.runtime.shm.segments import SharedSegments, attach
from mario_envkit.errors import OptionError

_KIND = kind_of("marioBR1")
# Words of a ring, the producer's and the consumer's on lines of their own.
_HEAD, _DROPPED = 0, 1
_TAIL, _REJECTED = 0, 1
# Words of a slot.
_MARK, _TAG, _SIZE = range(3)


@dataclass(frozen=True, slots=True)
class RingStats:
    """What has gone through a ring since the run began, across restarts of its ends.

    Attributes:
        published: packets that were sent.
        dropped: packets that were refused because the ring was full.
        read: packets that were released by the consumer.
        rejected: packets that did not carry their number (see the module).
    """

    published: int
    dropped: int
    read: int
    rejected: int


class RingPacket:
    """Implements :class:`mario_agents.runtime.transport.Packet`: ``data`` is the shared memory."""

    __slots__ = ("_ring", "data", "sequence", "tag")

    def __init__(self, ring: ByteRing, sequence: int, tag: int, data: Memory) -> None:
        self._ring = ring
        self.sequence, self.tag, self.data = sequence, tag, data

    def release(self) -> None:
        """Give the packet's slot, and those before it, back to the producer."""
        self._ring.release(self.sequence)


class ByteRing:
    """Implements :class:`mario_agents.runtime.transport.Channel`.

    One process sends, from one thread; one process receives, from one thread.

    Attributes:
        slots: packets that the ring holds.
        capacity: bytes that a packet may have.
    """

    def __init__(
        self, memory: Memory, *, producer: Notifier, consumer: Notifier, name: str = ""
    ) -> None:
        """Of memory that is formatted already, see :meth:`format`, and the notifiers that wake
        those who wait; use :meth:`create`, :meth:`attach` or :meth:`private`."""
        self.slots, self.capacity = read_header(memory, _KIND, 2, "a ring of packets")
        self.name, self.fence = name, Fence()
        self._wake_producer, self._wake_consumer = producer, consumer
        self._producer = atomic_words(memory, LINE, 2)
        self._consumer = atomic_words(memory, 2 * LINE, 2)
        self._headers: list[memoryview[int]] = []
        self._data: list[Memory] = []
        for slot in range(self.slots):
            start = 3 * LINE + slot * _slot_bytes(self.capacity)
            self._headers.append(atomic_words(memory, start, 3))
            self._data.append(memory[start + LINE : start + LINE + self.capacity])
        self._next = self._consumer[_TAIL]
        self._passed_over: set[int] = set()

    @staticmethod
    def bytes(slots: int, capacity: int) -> int:
        """Bytes of memory that a ring needs."""
        return 3 * LINE + slots * _slot_bytes(capacity)

    @staticmethod
    def format(memory: Memory, slots: int, capacity: int) -> None:
        """Make an empty ring of memory that is all zero.

        Raises:
            OptionError: if there are fewer than two slots: one is written while another is read.
        """
        if slots < 2 or capacity < 1:
            raise OptionError(
                f"A ring needs slots >= 2 and capacity >= 1, but got {slots} and {capacity}."
            )
        write_header(memory, _KIND, [slots, capacity])

    @classmethod
    def create(
        cls,
        segments: SharedSegments,
        *,
        slots: int,
        capacity: int,
        consumer: Notifier | None = None,
    ) -> ByteRing:
        """A new ring between two processes; it travels to a process that is started.

        Args:
            segments: the run's, which removes the memory at its end.
            slots, capacity: packets that it holds, and bytes that each may have.
            consumer: what wakes the consumer, if several rings are to; None is one of its own.

        Raises:
            OptionError: as :meth:`format`.
            RunError: if there is not so much shared memory.
        """
        name, memory = segments.create(cls.bytes(slots, capacity))
        cls.format(memory, slots, capacity)
        consumer = consumer or ProcessNotifier()
        return cls(memory, producer=ProcessNotifier(), consumer=consumer, name=name)

    @classmethod
    def attach(cls, name: str, producer: Notifier, consumer: Notifier) -> ByteRing:
        """The ring that another process made.

        Raises:
            RunError: if it is gone, or the segment is something else.
        """
        return cls(attach(name), producer=producer, consumer=consumer, name=name)

    @classmethod
    def private(
        cls,
        *,
        slots: int,
        capacity: int,
        producer: Notifier | None = None,
        consumer: Notifier | None = None,
    ) -> ByteRing:
        """A new ring in this process's own memory, between two of its threads or within one."""
        memory = np.zeros(cls.bytes(slots, capacity), dtype=np.uint8)
        cls.format(memory, slots, capacity)
        return cls(
            memory,
            producer=producer or ThreadNotifier(),
            consumer=consumer or ThreadNotifier(),
        )

    def __reduce__(self) -> tuple[object, ...]:
        return ByteRing.attach, (self.name, self._wake_producer, self._wake_consumer)

    # The producer's.

    def has_room(self) -> bool:
        """Whether a slot is free."""
        return self._producer[_HEAD] - self._consumer[_TAIL] < self.slots

    def send(
        self, size: int, write: Callable[[Memory], object] | None = None, *, tag: int = 0
    ) -> bool:
        """Copy a packet into the next free slot; one that is refused counts as dropped."""
        if size > self.capacity:
            raise OptionError(
                f"A packet of {size} bytes is too large: this ring takes {self.capacity}."
            )
        if not self.has_room():
            self._producer[_DROPPED] += 1
            return False
        head = self._producer[_HEAD]
        header, data = self._headers[head % self.slots], self._data[head % self.slots]
        self.fence()  # the consumer has read the old packet before it moved its tail
        header[_MARK] = 0
        self.fence()
        header[_TAG], header[_SIZE] = tag, size
        if write is not None:
            write(data[:size])
        self.fence()
        header[_MARK] = head + 1
        self.fence()
        self._producer[_HEAD] = head + 1
        self._wake_consumer.notify()
        return True

    def wait_for_release(self, seconds: float) -> bool:
        """Sleep until a packet is released, at most ``seconds``; whether one may have been."""
        return self._wake_producer.wait(seconds)

    # The consumer's.

    def receive(self) -> RingPacket | None:
        """The next whole packet, or None; up to ``slots`` may be out."""
        head = self._producer[_HEAD]
        self.fence()
        while self._next < head:
            sequence = self._next
            self._next += 1
            header = self._headers[sequence % self.slots]
            if header[_MARK] == sequence + 1:
                data = self._data[sequence % self.slots][: header[_SIZE]]
                return RingPacket(self, sequence, header[_TAG], data)
            self._consumer[_REJECTED] += 1
            self._passed_over.add(sequence)
            self._give_back(self._consumer[_TAIL])
        return None

    def release(self, sequence: int) -> None:
        """Give the place of a packet, and those before it, back."""
        self.fence()  # all reads of the packet come before the producer may overwrite it
        self._give_back(max(self._consumer[_TAIL], sequence + 1))
        self._wake_producer.notify()

    def _give_back(self, tail: int) -> None:
        """Move the tail to ``tail`` and over rejected packets, which nobody releases."""
        while tail in self._passed_over:
            self._passed_over.remove(tail)
            tail += 1
        self._consumer[_TAIL] = tail

    def wait_for_packet(self, seconds: float) -> bool:
        """Sleep until a packet is sent, at most ``seconds``; whether one may have been."""
        return self._wake_consumer.wait(seconds)

    # Anybody's.

    @property
    def waiting(self) -> int:
        """Packets that were sent and are not yet released."""
        return self._producer[_HEAD] - self._consumer[_TAIL]

    def stats(self) -> RingStats:
        """The counts so far; any process may ask."""
        # The tail first: it never overtakes a head that is read later.
        tail, rejected = self._consumer[_TAIL], self._consumer[_REJECTED]
        self.fence()
        head, dropped = self._producer[_HEAD], self._producer[_DROPPED]
        return RingStats(head, dropped, tail - rejected, rejected)


def _slot_bytes(capacity: int) -> int:
    return LINE + round_up(capacity)
