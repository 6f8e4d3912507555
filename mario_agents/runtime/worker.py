"""A worker: plays, computes gradients, hands them over."""

from __future__ import annotations

from mario_agents.core.algorithm import WorkerContext
from mario_agents.core.experience import Experience
from mario_agents.core.gradients import GradientComputer
from mario_agents.core.types import Learner
from mario_agents.runtime.exchange import GradientExchange
from mario_agents.runtime.reporters import WorkerReporter
from mario_agents.runtime.shm.heartbeat import SharedHeartbeat
from mario_agents.runtime.worker_envs import SnapshotUsage
from mario_agents.telemetry.episodes import CollectResult


class TrainingWorker:
    """Alternates between playing and the batches that are due.

    Args:
        place: which worker this is.
        learner: its model is brought up to date through ``exchange``.
        experience: plays with that model.
        exchange: the way to the coordinator.
        heartbeat: the worker beats and counts in its own row.
        reporter: what is measured goes there.
        accumulate_grads: batches whose mean gradients are handed over together.
    """

    def __init__(
        self,
        context: WorkerContext,
        learner: Learner,
        experience: Experience,
        exchange: GradientExchange,
        heartbeat: SharedHeartbeat,
        reporter: WorkerReporter,
        *,
        accumulate_grads: int,
    ) -> None:
        self.context, self.experience, self.reporter = context, experience, reporter
        self._exchange, self._heartbeat = exchange, heartbeat
        self._row = heartbeat.row(context.worker)
        self._accumulate = accumulate_grads
        self._gradients = GradientComputer(learner, context.device)
        self._usage = SnapshotUsage()

    def advance(self) -> None:
        """Collect once, then :meth:`train`."""
        self._exchange.sync()
        self._row.beat()
        collected = self.experience.collect(self._heartbeat.total("steps"))
        self._row.beat()
        self._count(collected)
        self.reporter.collected(collected)
        self.train()

    def train(self) -> None:
        """Hand over the gradients of every batch that is due."""
        with self.context.stopwatch.measure("time_learning"):
            self._train()

    def _train(self) -> None:
        for batch in self.experience.batches():
            measured = self._gradients.add(batch)
            self.experience.feedback(batch, measured)
            self._row.add("train_steps")
            self.reporter.trained(
                {name: float(value) for name, value in measured.items() if value.ndim == 0}
            )
            if self._gradients.batches == self._accumulate:
                self._submit()
            if self._heartbeat.stopping:
                return
        # The rest of a round is not kept: its weights would be old after the next games.
        if self._gradients.batches:
            self._submit()

    def record_snapshot_usage(self, usage: SnapshotUsage) -> None:
        """Take note of how the snapshots of this worker's games are used."""
        before, self._usage = self._usage, usage
        self._row.add("saves", usage.saves - before.saves)
        self._row.add("restores", usage.restores - before.restores)
        self.reporter.record_snapshot_usage(usage, before)

    def _submit(self) -> None:
        self._row.beat()
        if self._exchange.submit(self._gradients.take()):
            self._row.add("packets")
            self.reporter.submitted()
        self._exchange.sync()

    def _count(self, collected: CollectResult) -> None:
        self._row.add("steps", collected.steps)
        self._row.add("episodes", len(collected.episodes))
        self._row.add("deaths", len(collected.deaths))
        self._row.add("flags", sum(episode.flags for episode in collected.episodes))
