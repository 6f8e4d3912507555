"""How the processes of a run reach one another: three protocols, and nothing else.

* A :class:`Channel` carries packets of bytes from one producer to one consumer: gradients with the
  learner's statistics, or steps.
* :class:`Weights` carry the newest weights from their owner to everybody.
* A :class:`Board` has a row for each process, with signs of life and counters, and says when the
  run ends.

Each has a version within one process (``private``) and one in shared memory (``create`` and
``attach``), see :mod:`mario_agents.runtime.shm`. Beside them a process knows
the run directory, where it writes its rows, and the address that its events go to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
"""One-dimensional."""


class Packet(Protocol):
    """What a :class:`Channel` delivers; good until :meth:`release`."""

    @property
    def sequence(self) -> int:
        """0, 1, 2... of all packets of the channel, across restarts of its ends."""

    @property
    def tag(self) -> int:
        """As it was sent."""

    @property
    def data(self) -> Bytes:
        """What was sent, only to be read; perhaps nothing."""

    def release(self) -> None:
        """Give the packet's place, and those of the packets before it, back to the producer."""


class Channel(Protocol):
    """A bounded queue of packets from one producer to one consumer.

    Packets arrive in the order of sending, each once, whole or not at all, also if an end is killed
    at any instant; its replacement goes on where it was. Only the two methods that say so wait.
    """

    @property
    def waiting(self) -> int:
        """Packets that were sent and are not yet released."""

    def has_room(self) -> bool:
        """Whether the next :meth:`send` will be taken (it stays so until then)."""

    def send(
        self, size: int, write: Callable[[Bytes], object] | None = None, *, tag: int = 0
    ) -> bool:
        """Send a packet of ``size`` bytes, which ``write`` fills in.

        Args:
            size: bytes, at most what the channel was made for.
            write: is given the packet's bytes, with whatever is in them; None for an empty packet.
            tag: a number that travels with the packet.

        Returns:
            False if there is no room: nothing was sent.

        Raises:
            OptionError: if the packet is too large for the channel.
        """

    def wait_for_release(self, seconds: float) -> bool:
        """For the producer: sleep until a packet is released, at most ``seconds``; returns whether
        one may have been since the last call."""

    def receive(self) -> Packet | None:
        """The next packet, or None if there is none; several may be out at a time."""

    def wait_for_packet(self, seconds: float) -> bool:
        """For the consumer: sleep until a packet is sent, at most ``seconds``; returns whether one
        may have been since the last call."""


class Weights(Protocol):
    """A vector of float32 with a version. One publishes, any number reads; nobody waits."""

    @property
    def version(self) -> int:
        """Of the newest whole vector: 1 for the first one, 0 if there is none yet."""

    def publish(self, vector: NDArray[np.float32]) -> int:
        """Give everybody ``vector``, and return its version: one more than the last."""

    def read(self, out: NDArray[np.float32], newer_than: int = 0) -> int | None:
        """Copy the newest vector into ``out``, and return its version; None, with ``out`` as it
        was, if there is none newer than ``newer_than``."""


class BoardRow(Protocol):
    """One process's row. Only that process writes, or whoever has seen it end."""

    @property
    def taken(self) -> bool:
        """Whether a process has the row, as far as is known."""

    @property
    def ever_taken(self) -> bool:
        """Whether any process has ever had the row."""

    def join(self) -> int:
        """Take the row over for this process, beat, and return the generation (1, 2...)."""

    def beat(self) -> None:
        """Say that the process is alive and moving."""

    def add(self, counter: str, amount: int = 1) -> None:
        """Count; killed at any instant, the process has counted all of ``amount`` or nothing."""

    def count(self, counter: str) -> int:
        """A counter's value, of all processes together that have had the row."""


class Board(Protocol):
    """The rows of all processes, and what concerns the whole run."""

    @property
    def workers(self) -> int:
        """Number of workers; rows 0 to ``workers - 1`` are theirs."""

    @property
    def coordinator(self) -> int:
        """Number of the coordinator's row."""

    @property
    def stopping(self) -> bool:
        """Whether workers are to finish what they are at, and end."""

    @property
    def finishing(self) -> bool:
        """Whether all workers have ended, and the coordinator is to save and end as well."""

    @property
    def completing(self) -> bool:
        """Whether the run's budget is spent: the coordinator is to evaluate what it ends with."""

    def row(self, number: int) -> BoardRow:
        """The row of a worker, or of the :attr:`coordinator`."""

    def total(self, counter: str) -> int:
        """A counter summed over the workers (not the coordinator)."""
