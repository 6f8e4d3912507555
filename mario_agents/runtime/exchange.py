"""Exchange of gradients and weights between a worker and the coordinator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mario_agents.core.gradients import Gradients
from mario_agents.core.types import Learner
from mario_agents.runtime.packet import PacketLayout
from mario_agents.runtime.transport import Board, GradientPool, Numbers, Weights
from mario_agents.telemetry import Stopwatch

WAIT_SECONDS = 0.05
"""A process that waits to be notified looks around so often: a run that stops, and a process that
dies, notify nobody."""


class GradientExchange(Protocol):
    """A worker's way to whoever owns the weights: in the same process that is the
    :class:`~mario_agents.runtime.coordinator.TrainingCoordinator` itself."""

    @property
    def version(self) -> int:
        """Of the weights in the model: the number of updates that led to them."""

    def submit(self, gradients: Gradients, version: int) -> bool:
        """Hand over gradients, of weights of this version or newer ones: those of several batches
        are as old as the first.

        They belong to the exchange from now on. Returns False if the run is stopping and they were
        not taken.
        """

    def sync(self) -> None:
        """Bring the model to the newest weights."""

    def begin_round(self) -> bool:
        """:meth:`sync`, once all workers that wait for one another have ended their rounds, of
        playing and then learning. Returns False if the run is stopping: there is none to begin."""


class SharedExchange:
    """Worker and coordinator are processes that share memory.

    A full ring makes :meth:`submit` wait: a worker that computes gradients faster than they are
    applied has nothing better to do. Whoever waits here beats, and leaves when the run stops.

    Args:
        worker: number of this worker.
        learner: its model takes the weights.
        pool, weights, board: of the run.
        synchronous: whether :meth:`sync` waits until the gradients of this worker have been
            applied.
        stopwatch: measures how long this worker waits, as ``time_waiting``.
    """

    def __init__(
        self,
        worker: int,
        learner: Learner,
        pool: GradientPool,
        weights: Weights,
        board: Board,
        *,
        synchronous: bool,
        stopwatch: Stopwatch,
    ) -> None:
        self._worker, self._pool, self._weights = worker, pool, weights.reader(learner.model)
        self._board, self._row = board, board.row(worker)
        self._packet_layout = PacketLayout(learner)
        self._synchronous, self._stopwatch = synchronous, stopwatch
        self._version = 0

    @property
    def version(self) -> int:
        """Of the weights in the model."""
        return self._version

    def submit(self, gradients: Gradients, version: int) -> bool:
        """Publish a packet as soon as the ring has room; False if the run stops before that."""
        return self._publish(
            lambda numbers: self._packet_layout.pack(gradients, out=numbers), version
        )

    def begin_round(self) -> bool:
        """End a synchronous worker's round by an empty packet; then :meth:`sync`."""
        if self._synchronous:
            self._publish(None, self._version)
        self.sync()
        return not self._board.stopping

    def sync(self) -> None:
        """Bring the model to newer weights; the first time, wait until there are some."""
        while self._weights.version == 0 or (
            # The coordinator lets go of a packet when it has published what came of it.
            self._synchronous and self._pool.waiting(self._worker)
        ):
            if not self._wait():
                return
        moved = self._packet_layout.moved()
        version = self._weights.read(newer_than=self._version)
        if version is not None:
            self._version = version
            self._packet_layout.count_from_here(moved)

    def _publish(self, write: Callable[[Numbers], object] | None, version: int) -> bool:
        while not self._pool.has_room(self._worker):
            if not self._wait():
                return False
        return self._pool.publish(self._worker, write, version)

    def _wait(self) -> bool:
        """Wait until the coordinator has released a packet; False if the run is stopping."""
        self._row.beat()
        with self._stopwatch.measure("time_waiting"):
            self._pool.wait_for_release(self._worker, WAIT_SECONDS)
        return not self._board.stopping
