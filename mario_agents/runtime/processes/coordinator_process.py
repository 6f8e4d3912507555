"""The coordinator in a process of its own."""

from __future__ import annotations

import sys
from multiprocessing.connection import Connection

import numpy as np

from mario_agents.nn.device import resolve_device
from mario_agents.run import CheckpointStore
from mario_agents.runtime.aggregation import GradientAggregator
from mario_agents.runtime.coordinator import TrainingCoordinator
from mario_agents.runtime.exchange import WAIT_SECONDS, weight_layout
from mario_agents.runtime.packet import PacketLayout
from mario_agents.runtime.processes.child import AttachedRun, ProcessPlan, run_child
from mario_agents.telemetry.events import COORDINATOR
from mario_envkit.closing import close_at_end

SWITCH_SECONDS = 0.0001
"""An evaluation in the other thread lets an update go on after this time. All workers wait for it,
and Python's default of 5 ms, which several operations of an update may have to wait for, is longer
than the whole of it."""


def coordinator_main(plan: ProcessPlan, failure: Connection) -> None:
    """Entry point of the coordinator's process."""
    run_child(plan, COORDINATOR, 0, failure, _coordinate)


def _coordinate(attached: AttachedRun) -> None:
    sys.setswitchinterval(SWITCH_SECONDS)
    with close_at_end(SharedCoordinator(attached)) as coordinator:
        coordinator.begin()
        while not attached.heartbeat.finishing:
            if not coordinator.update():
                coordinator.wait()
            coordinator.tick()
        while coordinator.update():  # what the workers left
            pass
        coordinator.end(complete=attached.heartbeat.completing)
        coordinator.flush("stopped")


class SharedCoordinator(TrainingCoordinator):
    """A coordinator that takes gradients from shared memory, and publishes weights there."""

    def __init__(self, attached: AttachedRun) -> None:
        plan, config, algorithm = attached.plan, attached.config, attached.algorithm
        checkpoint = None
        if plan.checkpoint is not None:
            store = CheckpointStore(attached.run.checkpoint_path, keep=config.keep_checkpoints)
            checkpoint = store.load(plan.checkpoint)
        super().__init__(
            algorithm,
            config,
            attached.run,
            plan.spaces,
            resolve_device(config.device),
            attached.publisher,
            attached.heartbeat,
            checkpoint,
            began=plan.began,
        )
        self._weights = attached.weights
        self._weight_layout = weight_layout(self.learner)
        self._vector = np.empty(self._weight_layout.size, dtype=np.float32)
        self._packet_layout = PacketLayout(self.learner)
        self._pool = attached.pool
        self._aggregator = GradientAggregator(
            self._pool,
            self._awaited,
            max_staleness=config.max_staleness,
            synchronous=config.synchronous,
        )

    def begin(self) -> None:
        """Save the beginning; let the workers go.

        Raises:
            RunError: if the disk refuses.
        """
        super().begin()
        self._row.join()
        self._publish()

    def update(self) -> bool:
        """Make the next update, if there are gradients for one."""
        stale = self._aggregator.stale
        packets = self._aggregator.take(self._weights.version)
        if self._aggregator.stale > stale:
            self._row.add("stale", self._aggregator.stale - stale)
            self.reporter.logger.track("stale", self._aggregator.stale - stale)
        if not packets:
            return False
        self._packet_layout.take_statistics(self._aggregator.mean)
        gradients = self._packet_layout.gradients(self._aggregator.mean)
        self.submit(gradients, packets, self._aggregator.staleness)
        self._publish()
        self._aggregator.release()
        self._row.add("updates")
        self._row.add("packets", packets)
        return True

    def wait(self) -> None:
        """There is no update to make: sleep until gradients come."""
        with self.reporter.stopwatch.measure("waiting"):
            self._pool.wait_for_packet(WAIT_SECONDS)

    def _awaited(self, worker: int) -> bool:
        """Whether gradients of a worker are to come: it lives, or has not had time to begin."""
        row = self._heartbeat.row(worker)
        return row.taken or not (row.ever_taken or self._heartbeat.stopping)

    def _publish(self) -> None:
        tensors = list(self.learner.model.state_dict().values())
        self._weights.publish(self._weight_layout.pack(tensors, out=self._vector))
