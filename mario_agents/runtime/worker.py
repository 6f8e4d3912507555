"""The worker: collects experience, computes gradients, submits them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mario_agents.acting.actor import Actor
from mario_agents.core.algorithm import WorkerContext
from mario_agents.core.dataset import Dataset
from mario_agents.core.gradients import GradientComputer
from mario_agents.core.types import Learner, Step
from mario_agents.runtime.exchange import GradientExchange
from mario_agents.runtime.reporters import WorkerReporter
from mario_agents.runtime.transport import Board
from mario_agents.runtime.worker_envs import SnapshotUsage
from mario_agents.telemetry.episodes import CollectResult


class TrainingWorker:
    """Alternates between playing and the batches that are due.

    Args:
        context: which worker this is.
        learner: its model is brought up to date through ``exchange``.
        actor: plays with that model.
        dataset: takes the steps, and offers batches.
        exchange: the way to the coordinator.
        heartbeat: the worker beats and counts in its own row.
        reporter: what is measured goes there.
        collect_steps: agent steps between two rounds of batches.
        accumulate_grads: batches whose mean gradients are handed over together.
    """

    def __init__(
        self,
        context: WorkerContext,
        learner: Learner,
        actor: Actor,
        dataset: Dataset,
        exchange: GradientExchange,
        heartbeat: Board,
        reporter: WorkerReporter,
        *,
        collect_steps: int,
        accumulate_grads: int,
    ) -> None:
        self.context, self.actor, self.dataset, self.reporter = context, actor, dataset, reporter
        self._collect_steps = collect_steps
        self._exchange, self._heartbeat = exchange, heartbeat
        self._row = heartbeat.row(context.worker)
        self._accumulate = accumulate_grads
        self._gradients = GradientComputer(learner, context.device)
        self._usage = SnapshotUsage()

    def advance(self) -> None:
        """Collect once, then :meth:`train`."""
        self._exchange.begin_round()
        self._row.beat()
        at = self._heartbeat.total("steps")
        collected = self.actor.collect(self._collect_steps, at, self._keep)
        self._row.beat()
        self._count(collected)
        self.train()
        collected.gauges = {**self.actor.policy.gauges(at), **self.dataset.gauges()}
        self.reporter.collected(collected)

    def _keep(self, step: Step) -> None:
        self.dataset.add(step, self.context.worker)

    def train(self) -> None:
        """Hand over the gradients of every batch that is due."""
        with self.context.stopwatch.measure("time_learning"):
            self._train()

    def _train(self) -> None:
        for batch in self.dataset.batches(self._heartbeat.total("steps")):
            measured = self._gradients.add(batch)
            self.dataset.feedback(batch, measured)
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

    def tensors(self) -> dict[str, Tensor]:
        """Random states and arrays for a checkpoint, by name."""
        parts = {"policy": self.actor.policy.tensors(), "dataset": self.dataset.tensors()}
        return {f"{part}.{name}": each for part in parts for name, each in parts[part].items()}

    def state(self) -> dict[str, Any]:
        """Counters and the like for a checkpoint, JSON-able."""
        return {"dataset": self.dataset.state(), "report": self.reporter.logger.state()}

    def restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Take over :meth:`tensors` and :meth:`state`; the games have begun anew.

        Raises:
            KeyError: if something is missing.
            CheckpointError: if something does not fit.
        """
        self.actor.policy.restore(select(tensors, "policy."))
        self.dataset.restore(select(tensors, "dataset."), state["dataset"])
        self.reporter.logger.restore(state["report"])

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


def select(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Those tensors whose names begin with ``prefix``, named without it."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
