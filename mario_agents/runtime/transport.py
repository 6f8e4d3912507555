"""How the processes of a run reach one another: three protocols, and nothing else.

* A :class:`Channel` carries packets of bytes from one producer to one consumer: gradients with the
  learner's statistics, or steps. A :class:`GradientPool` is one for each worker, with packets of
  numbers.
* :class:`Weights` carry the newest weights from their owner's model to everybody's.
* A :class:`Board` has a row for each process, with signs of life and counters, and says when the
  run ends.

Their versions in shared memory are in :mod:`mario_agents.runtime.shm` and
:mod:`mario_agents.runtime.weights`. Beside them a process knows a run directory, where it writes
its rows, and the address that its events go to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # processes that carry numbers only start without torch
    from torch import nn

Bytes = NDArray[np.uint8]
"""One-dimensional."""

PacketType = Literal["float32", "bfloat16"]
"""Number format of gradients on their way."""

Numbers = NDArray[Any]
"""One-dimensional; float32, or the bits of bfloat16 as uint16: numpy has no such type."""


COUNTERS = (
    *("steps", "episodes", "deaths", "flags", "train_steps", "packets"),
    *("updates", "stale", "saves", "restores"),
)
"""Names of the counters in every row: agent steps, episodes ended, lives lost, levels cleared,
batches that gradients were computed on, gradient packets published (a worker) or applied (the
coordinator), optimizer steps, packets dropped because their weights were too old, snapshots of the
games saved and gone back to."""


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


class GradientPacket(Protocol):
    """One worker's gradients; good until :meth:`release`."""

    @property
    def worker(self) -> int:
        """Who computed them."""

    @property
    def version(self) -> int:
        """Of the weights that they were computed on."""

    @property
    def empty(self) -> bool:
        """Whether there are none: the worker waits."""

    def copy_to(self, out: NDArray[np.float32]) -> None:
        """Write the gradients into ``out`` ``(size,)``."""

    def add_to(self, total: NDArray[np.float32]) -> None:
        """Add the gradients to ``total`` ``(size,)``."""

    def release(self) -> None:
        """Give the packet's place back to the worker, and with it those of its earlier packets."""


class GradientPool(Protocol):
    """A :class:`Channel` for each worker, to one consumer, whose packets are vectors of ``size``
    numbers; an empty packet says that its worker has none to give, and waits."""

    @property
    def workers(self) -> int:
        """Number of workers."""

    @property
    def size(self) -> int:
        """Numbers in a packet."""

    @property
    def dtype(self) -> PacketType:
        """Of these numbers on their way."""

    def publish(self, worker: int, write: Callable[[Numbers], object] | None, version: int) -> bool:
        """Send a packet, which ``write`` fills in, of gradients of the weights ``version``; without
        ``write`` it is empty. False if there is no room."""

    def has_room(self, worker: int) -> bool:
        """Whether the worker's next :meth:`publish` will be taken (it stays so until then)."""

    def waiting(self, worker: int) -> int:
        """Packets of a worker that are published and not yet released."""

    def wait_for_release(self, worker: int, seconds: float) -> bool:
        """For a worker: as :meth:`Channel.wait_for_release`."""

    def poll(self, worker: int) -> GradientPacket | None:
        """The next packet of a worker, or None if there is none; several may be out at a time."""

    def wait_for_packet(self, seconds: float) -> bool:
        """For the consumer: as :meth:`Channel.wait_for_packet`, of any worker."""


class WeightsWriter(Protocol):
    """The end of :class:`Weights` that the owner's model is at."""

    @property
    def version(self) -> int:
        """Of the newest weights: 1 for the first ones, 0 if there are none yet."""

    def publish(self) -> int:
        """Give everybody the model's weights, and return their version: one more than the last."""


class WeightsReader(Protocol):
    """An end of :class:`Weights` that a worker's model is at."""

    @property
    def version(self) -> int:
        """Of the newest weights: 1 for the first ones, 0 if there are none yet."""

    def read(self, newer_than: int = 0) -> int | None:
        """Bring the model to the newest weights, and return their version; None if there are none
        newer than ``newer_than``."""


class Weights(Protocol):
    """Carry a model's weights, targets and buffers included, from one owner to any number of
    models of the same kind; nobody waits.

    Both ends hold on to the memory of their model, so that they are made once it is on its device.
    A parameter stays the same object, but its memory may be another one afterwards.
    """

    def writer(self, model: nn.Module) -> WeightsWriter:
        """The owner's end; there is one."""

    def reader(self, model: nn.Module) -> WeightsReader:
        """A worker's end."""


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
