"""A worker's end of the ways to the coordinator: calls of its actor.

What the coordinator's actor has is copied here by every answer (:class:`State`). So who has seen a
packet released knows of the weights that were published, and of the steps that were counted,
before that, as in shared memory.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from mario_agents.runtime.attended import wait_attended
from mario_agents.runtime.ray.messages import Attachment, Report, State
from mario_agents.runtime.shm.heartbeat import HeartbeatRow, SharedHeartbeat
from mario_agents.runtime.transport import (
    Board,
    Bytes,
    Channel,
    GradientPool,
    Numbers,
    PacketType,
)
from mario_envkit.errors import RunError

END_SECONDS = 20.0
"""Time that what a worker sent last has to arrive."""
REPORT_SECONDS = 0.5
"""Seconds between two reports of a worker that is busy with something else."""
WAIT_SECONDS = 0.5
"""Time that the coordinator takes for an answer when there is no news."""


class Link:
    """A worker's way to the coordinator's actor.

    Args:
        coordinator: handle of the actor.
        worker: number of this worker.
        generation: how many processes were this worker before.
        slots: packets that may be sent and not released.

    Raises:
        RunError: if another process is this worker by now.
    """

    def __init__(self, coordinator: Any, worker: int, generation: int, slots: int) -> None:
        import ray

        self._ray, self._coordinator = ray, coordinator
        self._worker, self._generation, self._slots = worker, generation, slots
        attachment = ray.get(coordinator.attach.remote(worker, generation))
        if attachment is None:
            raise self._replaced()
        told: Attachment = attachment
        self.row: HeartbeatRow = SharedHeartbeat.private(workers=1).row(0)
        self.row.adopt(told.row)
        self.state = told.state
        self._lock, self._reports, self._sent = threading.Lock(), 0, told.state.arrived
        self._answer: Any = None
        self._over = threading.Event()
        threading.Thread(target=self._keep_reporting, daemon=True).start()

    @property
    def waiting(self) -> int:
        """Packets that were sent and are not released, as far as is known."""
        return self._sent - self.state.released

    def has_room(self) -> bool:
        """Whether another packet may be sent."""
        return self.waiting < self._slots

    def send(self, data: Bytes, tag: int) -> None:
        """Send a packet; there is room for it."""
        self._coordinator.send.remote(self._worker, self._sent, data, tag, self._report())
        self._sent += 1

    def wait(self, seconds: float) -> bool:
        """Wait for news, such as a release, at most ``seconds``; whether there may be some.

        Raises:
            RunError: if another process is this worker by now, or the coordinator is gone.
        """
        if self._answer is None:
            self._answer = self._ask(WAIT_SECONDS)
        ready, _ = self._ray.wait([self._answer], timeout=seconds)
        if not ready:
            return False
        answer, self._answer = self._answer, None
        self._take(answer)
        return True

    def weights(self, newer_than: int) -> tuple[int, NDArray[np.float32]] | None:
        """The newest weights and their version, not to be written to; None if they are not newer.

        Raises:
            RunError: if the coordinator is gone.
        """
        try:
            found = self._ray.get(self._coordinator.weights.remote(newer_than))
            if found is None:
                return None
            version, (reference,) = found
            return version, self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            raise self._gone(error) from error

    def close(self) -> None:
        """Report for the last time, when all that was sent has arrived.

        Raises:
            RunError: as :meth:`wait`.
        """
        self._over.set()
        wait_attended(self._arrived, END_SECONDS)

    def _arrived(self, seconds: float) -> bool:
        self._take(self._ask(0.0))
        if self.state.arrived < self._sent:
            time.sleep(min(seconds, 0.02))
        return self.state.arrived >= self._sent

    def _ask(self, seconds: float) -> Any:
        released = self.state.released
        return self._coordinator.exchange.remote(self._worker, self._report(), released, seconds)

    def _take(self, answer: Any) -> None:
        try:
            state: State | None = self._ray.get(answer)
        except self._ray.exceptions.RayError as error:
            raise self._gone(error) from error
        if state is None:
            raise self._replaced()
        with self._lock:
            if state.number > self.state.number:
                self.state = state

    def _report(self) -> Report:
        with self._lock:
            self._reports += 1
            return Report(self._generation, self._reports, self.row.read())

    def _keep_reporting(self) -> None:
        while not self._over.wait(REPORT_SECONDS):
            try:
                self._take(self._ask(0.0))
            except RunError:  # the worker finds out by itself, when it next waits
                return

    def _replaced(self) -> RunError:
        return RunError(f"Another process is worker {self._worker} by now.")

    @staticmethod
    def _gone(error: Exception) -> RunError:
        return RunError(f"The coordinator cannot be reached ({type(error).__name__}).")


class RemoteBoard(Board):
    """The board as a worker sees it: its own row, and what it was told of the others."""

    def __init__(self, link: Link, worker: int, workers: int) -> None:
        self._link, self._worker, self._workers = link, worker, workers

    @property
    def workers(self) -> int:
        """Number of workers."""
        return self._workers

    @property
    def coordinator(self) -> int:
        """Number of the coordinator's row."""
        return self._workers

    @property
    def stopping(self) -> bool:
        """Whether workers are to end."""
        return self._link.state.stage > 0

    @property
    def finishing(self) -> bool:
        """Whether all workers have ended."""
        return self._link.state.stage > 1

    @property
    def completing(self) -> bool:
        """Whether the run's budget is spent."""
        return self._link.state.stage > 2

    def row(self, number: int) -> HeartbeatRow:
        """The worker's own row."""
        assert number == self._worker, "a worker knows no other's row"
        return self._link.row

    def total(self, counter: str) -> int:
        """A counter summed over the workers."""
        return self._link.state.others[counter] + self._link.row.count(counter)


class RemoteChannel(Channel):
    """A worker's end of its channel."""

    def __init__(self, link: Link) -> None:
        self._link = link

    @property
    def waiting(self) -> int:
        """Packets that were sent and are not yet released."""
        return self._link.waiting

    def has_room(self) -> bool:
        """Whether the next packet will be taken."""
        return self._link.has_room()

    def send(
        self, size: int, write: Callable[[Bytes], object] | None = None, *, tag: int = 0
    ) -> bool:
        """Send a packet; False if there is no room."""
        if not self.has_room():
            return False
        data = np.empty(size, dtype=np.uint8)
        if write is not None:
            write(data)
        self._link.send(data, tag)
        return True

    def wait_for_release(self, seconds: float) -> bool:
        """Sleep until a packet is released."""
        return self._link.wait(seconds)

    def receive(self) -> NoReturn:
        """Packets arrive at the other end."""
        raise AssertionError("a worker only sends")

    def wait_for_packet(self, seconds: float) -> NoReturn:
        """Packets arrive at the other end."""
        raise AssertionError("a worker only sends")


class RemotePool(GradientPool):
    """A worker's end of the pool: its own channel."""

    def __init__(self, link: Link, workers: int, size: int, dtype: PacketType) -> None:
        self._channel, self._workers, self._size, self._dtype = (
            RemoteChannel(link),
            workers,
            size,
            dtype,
        )

    @property
    def workers(self) -> int:
        """Number of workers."""
        return self._workers

    @property
    def size(self) -> int:
        """Numbers in a packet."""
        return self._size

    @property
    def dtype(self) -> PacketType:
        """Of these numbers on their way."""
        return self._dtype

    def publish(self, worker: int, write: Callable[[Numbers], object] | None, version: int) -> bool:
        """Send a packet; False if there is no room."""
        if write is None:
            return self._channel.send(0, tag=version)
        kind = np.dtype(np.float32 if self._dtype == "float32" else np.uint16)
        return self._channel.send(
            self._size * kind.itemsize, lambda data: write(data.view(kind)), tag=version
        )

    def has_room(self, worker: int) -> bool:
        """Whether the next packet will be taken."""
        return self._channel.has_room()

    def waiting(self, worker: int) -> int:
        """Packets that are sent and not yet released."""
        return self._channel.waiting

    def wait_for_release(self, worker: int, seconds: float) -> bool:
        """Sleep until a packet is released."""
        return self._channel.wait_for_release(seconds)

    def poll(self, worker: int) -> NoReturn:
        """Packets arrive at the other end."""
        raise AssertionError("a worker only sends")

    def wait_for_packet(self, seconds: float) -> NoReturn:
        """Packets arrive at the other end."""
        raise AssertionError("a worker only sends")


class RemoteNumbers:
    """Implements :class:`~mario_agents.runtime.weights.WeightNumbers` at a worker's end."""

    def __init__(self, link: Link) -> None:
        self._link = link

    @property
    def version(self) -> int:
        """Of the newest weights, as far as is known."""
        return self._link.state.version

    def publish(self, vector: NDArray[np.float32]) -> NoReturn:
        """Weights come from the other end."""
        raise AssertionError("a worker only reads weights")

    def read(self, out: NDArray[np.float32], newer_than: int = 0) -> int | None:
        """Copy the newest weights into ``out``, and return their version."""
        if self.version <= newer_than:
            return None
        found = self._link.weights(newer_than)
        if found is None:
            return None
        version, vector = found
        np.copyto(out, vector)
        return version
