"""The coordinator in a process of its own."""

from __future__ import annotations

import logging
import sys
import time
from multiprocessing.connection import Connection

import numpy as np

from mario_agents.nn.device import resolve_device
from mario_agents.run import CheckpointStore
from mario_agents.runtime.aggregation import GradientAggregator
from mario_agents.runtime.build import build_coordinator, build_learner, counters_of
from mario_agents.runtime.evaluator import Evaluator
from mario_agents.runtime.exchange import WAIT_SECONDS, weight_layout
from mario_agents.runtime.packet import PacketLayout
from mario_agents.runtime.processes.child import AttachedRun, ProcessPlan, run_child
from mario_agents.runtime.step_interval import StepInterval
from mario_agents.telemetry.events import COORDINATOR
from mario_envkit.closing import close_all, close_at_end

FLUSH_SECONDS = 1.0
"""Seconds between two messages to the main process."""
SWITCH_SECONDS = 0.0001
"""An evaluation in the other thread lets an update go on after this time. All workers wait for it,
and Python's default of 5 ms, which several operations of an update may have to wait for, is longer
than the whole of it."""

log = logging.getLogger(__name__)


def coordinator_main(plan: ProcessPlan, failure: Connection) -> None:
    """Entry point of the coordinator's process."""
    run_child(plan, COORDINATOR, 0, failure, _coordinate)


def _coordinate(attached: AttachedRun) -> None:
    sys.setswitchinterval(SWITCH_SECONDS)
    with close_at_end(CoordinatorProcess(attached)) as coordinator:
        coordinator.begin()
        while not attached.heartbeat.finishing:
            if not coordinator.update():
                coordinator.wait()
            coordinator.routine()
        while coordinator.update():  # what the workers left
            pass
        coordinator.coordinator.clock.end()
        coordinator.end()


class CoordinatorProcess:
    """A :class:`~mario_agents.runtime.coordinator.TrainingCoordinator` fed from shared memory."""

    def __init__(self, attached: AttachedRun) -> None:
        plan, config, algorithm = attached.plan, attached.config, attached.algorithm
        self._heartbeat = attached.heartbeat
        self._row = self._heartbeat.row(self._heartbeat.coordinator)
        checkpoint = None
        if plan.checkpoint is not None:
            store = CheckpointStore(attached.run.checkpoint_path, keep=config.keep_checkpoints)
            checkpoint = store.load(plan.checkpoint)
        self._device = resolve_device(config.device)
        self.learner = build_learner(algorithm, config, plan.spaces, self._device)
        self.coordinator = build_coordinator(
            algorithm,
            config,
            attached.run,
            self.learner,
            plan.spaces,
            attached.publisher,
            checkpoint,
            began=plan.began,
        )
        self._evaluator = Evaluator(
            algorithm, config, attached.run, plan.spaces, self._device, self.coordinator.clock
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
        step = self._heartbeat.total("steps")
        self._evaluation, self._rows, self._checkpoints = (
            StepInterval(interval, step)
            for interval in (config.eval_interval, config.log_interval, config.checkpoint_interval)
        )
        self._told = 0.0

    def begin(self) -> None:
        """Save the beginning, so that from here on the run can be resumed; let the workers go."""
        self._save()
        self._row.join()
        self._publish()

    def update(self) -> bool:
        """Make the next update, if there are gradients for one."""
        stale = self._aggregator.stale
        packets = self._aggregator.take(self._weights.version)
        if self._aggregator.stale > stale:
            self._row.add("stale", self._aggregator.stale - stale)
            self.coordinator.reporter.logger.track("stale", self._aggregator.stale - stale)
        if not packets:
            return False
        self._packet_layout.take_statistics(self._aggregator.mean)
        gradients = self._packet_layout.gradients(self._aggregator.mean)
        self.coordinator.apply(gradients, packets, self._aggregator.staleness)
        self._publish()
        self._aggregator.release()
        self._row.add("updates")
        self._row.add("packets", packets)
        return True

    def wait(self) -> None:
        """There is no update to make: sleep until gradients come."""
        with self.coordinator.reporter.stopwatch.measure("waiting"):
            self._pool.wait_for_packet(WAIT_SECONDS)

    def routine(self) -> None:
        """Beat, and do what is due by now."""
        self._row.beat()
        step = self._heartbeat.total("steps")
        if self._evaluation.due(step):
            self._evaluator.start(self.learner, step)
        self._take_evaluation()
        if self._rows.due(step):
            self.coordinator.write(step)
        if self._checkpoints.due(step):
            self.coordinator.saving.attempt(self._save)
            self._evaluator.flush()
        if time.monotonic() - self._told > FLUSH_SECONDS:
            self._told = time.monotonic()
            self.coordinator.flush(step)

    def end(self) -> None:
        """Write everything for the last time.

        Raises:
            RunError: if the disk refuses.
        """
        step = self._heartbeat.total("steps")
        self._await_evaluation()
        if self._heartbeat.completing:
            self._evaluator.start_last(self.learner, step)
            self._await_evaluation()
        self.coordinator.write(step)
        self.coordinator.save_end(self._save)
        self.coordinator.flush(step, "stopped")

    def close(self) -> None:
        """Close the files.

        Raises:
            RunError: if something could not be written.
        """
        close_all(self._evaluator.close, self.coordinator.reporter.close)

    def _awaited(self, worker: int) -> bool:
        """Whether gradients of a worker are to come: it lives, or has not had time to begin."""
        row = self._heartbeat.row(worker)
        return row.taken or not (row.ever_taken or self._heartbeat.stopping)

    def _take_evaluation(self) -> None:
        result = self._evaluator.result()
        if result is not None:
            self.coordinator.reporter.logger.track_all(result)

    def _await_evaluation(self) -> None:
        while self._evaluator.playing:
            self._row.beat()
            time.sleep(WAIT_SECONDS)
        self._take_evaluation()

    def _publish(self) -> None:
        tensors = list(self.learner.model.state_dict().values())
        self._weights.publish(self._weight_layout.pack(tensors, out=self._vector))

    def _save(self) -> None:
        step = self._heartbeat.total("steps")
        self.coordinator.save(step, {}, {"counters": counters_of(self._heartbeat)})
        self._heartbeat.checkpoint_written()
