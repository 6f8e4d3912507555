"""Exchange of gradients and weights between a worker and the coordinator."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mario_agents.core.gradients import Gradients
from mario_agents.core.types import Learner
from mario_agents.runtime.flatten import TensorLayout
from mario_agents.runtime.packet import PacketLayout
from mario_agents.runtime.shm.gradient_pool import SharedGradientPool
from mario_agents.runtime.transport import Board, Weights
from mario_agents.telemetry import Stopwatch

WAIT_SECONDS = 0.05
"""A process that waits to be notified looks around so often: a run that stops, and a process that
dies, notify nobody."""


class GradientExchange(Protocol):
    """A worker's way to whoever owns the weights: in the same process that is the
    :class:`~mario_agents.runtime.coordinator.TrainingCoordinator` itself."""

    def submit(self, gradients: Gradients) -> bool:
        """Hand over gradients of the weights that the last :meth:`sync` brought.

        They belong to the exchange from now on. Returns False if the run is stopping and they were
        not taken.
        """

    def sync(self) -> None:
        """Bring the model to the newest weights."""

    def begin_round(self) -> bool:
        """:meth:`sync`, once all workers that wait for one another have ended their rounds, of
        playing and then learning. Returns False if the run is stopping: there is none to begin."""


def weight_layout(learner: Learner) -> TensorLayout:
    """How a learner's weights, targets and buffers included, lie in shared memory."""
    return TensorLayout(learner.model.state_dict().items())


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
        pool: SharedGradientPool,
        weights: Weights,
        board: Board,
        *,
        synchronous: bool,
        stopwatch: Stopwatch,
    ) -> None:
        self._worker, self._pool, self._weights = worker, pool, weights
        self._board, self._row = board, board.row(worker)
        self._packet_layout, self._weight_layout = PacketLayout(learner), weight_layout(learner)
        # Detached, but the same memory as the model's own.
        self._targets = list(learner.model.state_dict().values())
        self._packet = np.empty(self._packet_layout.size, dtype=np.float32)
        self._buffer = np.empty(self._weight_layout.size, dtype=np.float32)
        self._synchronous, self._stopwatch = synchronous, stopwatch
        self.version = 0
        """Of the weights in the model."""

    def submit(self, gradients: Gradients) -> bool:
        """Publish a packet as soon as the ring has room; False if the run stops before that."""
        self._packet_layout.pack(gradients, out=self._packet)
        return self._publish(self._packet)

    def begin_round(self) -> bool:
        """End a synchronous worker's round by an empty packet; then :meth:`sync`."""
        if self._synchronous:
            self._publish(None)
        self.sync()
        return not self._board.stopping

    def sync(self) -> None:
        """Copy newer weights into the model; the first time, wait until there are some."""
        while self._weights.version == 0 or (
            # The coordinator lets go of a packet when it has published what came of it.
            self._synchronous and self._pool.waiting(self._worker)
        ):
            if not self._wait():
                return
        version = self._weights.read(self._buffer, newer_than=self.version)
        if version is not None:
            self._weight_layout.unpack(self._buffer, self._targets)
            self.version = version

    def _publish(self, vector: NDArray[np.float32] | None) -> bool:
        while not self._pool.has_room(self._worker):
            if not self._wait():
                return False
        return self._pool.publish(self._worker, vector, self.version)

    def _wait(self) -> bool:
        """Wait until the coordinator has released a packet; False if the run is stopping."""
        self._row.beat()
        with self._stopwatch.measure("time_waiting"):
            self._pool.wait_for_release(self._worker, WAIT_SECONDS)
        return not self._board.stopping
