"""The coordinator in a process of its own, wherever that is."""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections import deque

import torch

from mario_agents.core.algorithm import WorkerContext
from mario_agents.nn.device import resolve_device
from mario_agents.run import Checkpoint, CheckpointStore
from mario_agents.runtime.aggregation import GradientAggregator
from mario_agents.runtime.attached import AttachedRun
from mario_agents.runtime.coordinator import TrainingCoordinator
from mario_agents.runtime.exchange import WAIT_SECONDS
from mario_agents.runtime.experience import StepIntake
from mario_agents.runtime.learning import BatchLearning
from mario_agents.runtime.packet import PacketLayout
from mario_agents.runtime.prefetch import PrefetchingDataset
from mario_agents.runtime.saved import SavedLearning, incomplete, tell_left
from mario_envkit.closing import close_all, close_at_end

SWITCH_SECONDS = 0.0001
"""Another thread (one that evaluates where no process can, or draws batches ahead) lets an update
go on after this time. Workers wait for it, and Python's default of 5 ms, which several operations
of an update may have to wait for, is longer than the whole of it."""
REMEMBERED = 10_000
"""Versions of weights of which it is known how many updates had been made; a worker that still has
older ones counts as having the oldest of these."""


def coordinate(attached: AttachedRun) -> None:
    """Make updates of what workers send, until the run ends."""
    sys.setswitchinterval(SWITCH_SECONDS)
    kind = GradientCoordinator if attached.ways.steps is None else ExperienceCoordinator
    with close_at_end(kind(attached, _checkpoint(attached))) as coordinator:
        coordinator.begin()
        while not attached.ways.board.finishing:
            if not coordinator.update():
                coordinator.wait()
            coordinator.tick()
        while coordinator.update():  # what the workers left
            pass
        coordinator.end(complete=attached.ways.board.completing)
        coordinator.flush("stopped")


def _checkpoint(attached: AttachedRun) -> Checkpoint | None:
    """What a resumed run goes on from."""
    if attached.plan.checkpoint is None:
        return None
    keep = attached.config.keep_checkpoints
    return CheckpointStore(attached.run.checkpoint_path, keep=keep).load(attached.plan.checkpoint)


class SharedCoordinator(TrainingCoordinator):
    """A coordinator that publishes weights for the workers."""

    def __init__(self, attached: AttachedRun, checkpoint: Checkpoint | None) -> None:
        plan = attached.plan
        super().__init__(
            attached.algorithm,
            attached.config,
            attached.run,
            plan.spaces,
            resolve_device(attached.config.device),
            attached.publisher,
            attached.ways.board,
            checkpoint,
            began=plan.began,
        )
        self._weights = attached.ways.weights.writer(self.learner.model)
        self._settle = attached.settle

    def begin(self) -> None:
        """Save the beginning; let the workers go.

        Raises:
            RunError: if the disk refuses.
        """
        super().begin()
        self._settle()
        self._row.join()
        self._weights.publish()

    @abstractmethod
    def update(self) -> bool:
        """Do what workers have sent something for; returns whether there was anything."""

    @abstractmethod
    def wait(self) -> None:
        """There is nothing to do: sleep until workers send something."""


class GradientCoordinator(SharedCoordinator):
    """Makes updates from the gradients of the workers."""

    def __init__(self, attached: AttachedRun, checkpoint: Checkpoint | None) -> None:
        super().__init__(attached, checkpoint)
        assert attached.ways.pool is not None
        if checkpoint is not None:
            reason = "workers that share gradients have replays of their own"
            tell_left(self.store, checkpoint, reason)
        self._packet_layout = PacketLayout(self.learner)
        self._pool = attached.ways.pool
        self._aggregator = GradientAggregator(
            self._pool,
            self._awaited,
            max_staleness=self.config.max_staleness,
            synchronous=self.config.synchronous,
        )

    def update(self) -> bool:
        """Make the next update, if there are gradients for one.

        Synchronous workers wait for it: what can be done after they were let go is done then.
        """
        aggregator = self._aggregator
        stale = aggregator.stale
        packets = aggregator.take(self._weights.version)
        if packets:
            with self.reporter.stopwatch.measure("optimizing"):
                self._packet_layout.move_statistics(aggregator.mean)
                gradients = self._packet_layout.gradients(aggregator.mean)
                metrics = self.updater.apply(gradients, packets)
            self._weights.publish()
            aggregator.release()
            self.reporter.updated(
                {**metrics, "packets": packets, "staleness": aggregator.staleness}
            )
            self._row.add("updates")
            self._row.add("packets", packets)
        if aggregator.stale > stale:
            self._row.add("stale", aggregator.stale - stale)
            self.reporter.logger.track("stale", aggregator.stale - stale)
        return packets > 0

    def wait(self) -> None:
        """There is no update to make: sleep until gradients come."""
        with self.reporter.stopwatch.measure("waiting"):
            self._pool.wait_for_packet(WAIT_SECONDS)

    def _awaited(self, worker: int) -> bool:
        """Whether gradients of a worker are to come: it lives, or has not had time to begin."""
        row = self._heartbeat.row(worker)
        return row.taken or not (row.ever_taken or self._heartbeat.stopping)


class ExperienceCoordinator(SharedCoordinator):
    """Learns from the steps of all workers: it has the one dataset, and the learner.

    Between two batches it takes in what has come. Steps wait in their channels, and then the
    workers, while the dataset is full; the learner waits while no batch is due.
    """

    def __init__(self, attached: AttachedRun, checkpoint: Checkpoint | None) -> None:
        super().__init__(attached, checkpoint)
        plan, steps, config = attached.plan, attached.ways.steps, self.config
        assert steps is not None
        # Workers have shares of the cores; the learner has as many as it was told.
        torch.set_num_threads(config.torch_threads)
        context = WorkerContext(
            0,
            config.workers,
            config.seed,
            plan.step,
            0,
            self.device,
            central=True,
            demonstrations=plan.demonstrated(),
        )
        dataset = attached.algorithm.dataset(config, self.learner, plan.spaces, context)
        on_gpu = self.device.type == "cuda"
        depth = config.prefetch if config.prefetch is not None else 2 * on_gpu
        self._prefetching = (
            PrefetchingDataset(dataset, self.learner, self.device, depth) if depth else None
        )
        dataset = self._prefetching or dataset
        self._channels, self._dataset = list(steps.rings.values()), dataset
        self._intake = StepIntake(self._channels, steps.layout, dataset)
        self._learning = BatchLearning(
            self.learner,
            self.device,
            dataset,
            self._heartbeat,
            self._row,
            self.reporter.trained,
            accumulate=config.accumulate_grads,
            cuda_graphs=config.cuda_graphs,
        )
        self.learning = SavedLearning(self._learning, context.shards)
        if checkpoint is not None:
            try:
                self.learning.restore(self.store, checkpoint)
            except KeyError as error:
                raise incomplete(self.run, error) from error
        self._published: deque[int] = deque(maxlen=REMEMBERED)
        """Updates that had been made when weights were published, the newest last."""
        self._unpublished = 0
        """Agent steps that came in since then."""

    def begin(self) -> None:
        """Save the beginning; let the workers go."""
        super().begin()
        self._published.append(self.version)

    def update(self) -> bool:
        """Take in steps, and learn from the next batch if one is due."""
        measure = self.reporter.stopwatch.measure
        with measure("inserting"):
            steps = self._intake.take()
            if steps:
                self._inserted(steps)
        learned = False
        # Who is interrupted learns no more; who has come to the end makes all updates that are due.
        if not self._heartbeat.stopping or self._heartbeat.completing:
            with measure("learning"):
                learned = self._learn()
        return steps > 0 or learned

    def wait(self) -> None:
        """Neither steps nor a batch: sleep until steps come."""
        with self.reporter.stopwatch.measure("waiting"):
            self._channels[0].wait_for_packet(WAIT_SECONDS)  # of any of them

    def close(self) -> None:
        """Close the files, and end the thread; harmless when repeated."""
        close_all(*([self._prefetching.close] if self._prefetching else []), super().close)

    def _learn(self) -> bool:
        batches = self._row.count("train_steps")
        for gradients in self._learning.gradients(self.step, most=1):
            self.submit(gradients, self.version)
            self._row.add("updates")
            self._row.add("packets")
            # Workers look once for so many of their own steps: more often would help nobody.
            if self._unpublished >= self.config.sync_every:
                self._weights.publish()
                self._published.append(self.version)
                self._unpublished = 0
        return self._row.count("train_steps") > batches

    def _inserted(self, steps: int) -> None:
        """Take note of steps that came in."""
        self._unpublished += steps
        for version in self._intake.versions:
            behind = min(self._weights.version - version, len(self._published) - 1)
            lag = self.version - self._published[-1 - behind]
            self.reporter.inserted({"lag": lag})
        waiting = sum(channel.waiting for channel in self._channels)
        measured = {"inserted": steps, "chunks_waiting": waiting, **self._dataset.gauges()}
        self.reporter.inserted(measured)
