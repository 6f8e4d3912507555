"""The worker: collects experience, and hands over what is learned from it, or itself."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mario_agents.acting.actor import Actor
from mario_agents.config import Schedule
from mario_agents.core.algorithm import WorkerContext
from mario_agents.core.dataset import Dataset
from mario_agents.core.types import Learner, Step
from mario_agents.runtime.exchange import GradientExchange
from mario_agents.runtime.learning import BatchLearning
from mario_agents.runtime.reporters import State, WorkerReporter
from mario_agents.runtime.saved import select
from mario_agents.runtime.scheduled import gauges_of
from mario_agents.runtime.step_interval import StepInterval
from mario_agents.runtime.transport import Board
from mario_agents.runtime.worker_envs import SnapshotUsage, WorkerEnvs
from mario_agents.telemetry.episodes import CollectResult

FLUSH_SECONDS = 1.0
"""Seconds between two messages to the main process."""


def begun_at(context: WorkerContext, heartbeat: Board) -> int:
    """Agent steps of the whole run when a worker begins, without those that others have made while
    it was getting ready; where it replaces another one these are not told apart."""
    return heartbeat.total("steps") if context.generation else context.start


class TrainingWorker:
    """Alternates between playing and the batches that are due.

    Args:
        context: which worker this is.
        learner: its model is brought up to date through ``exchange``.
        player: its model plays: the learner, or a copy of it on another device.
        games: what is played; closed by whoever made it.
        actor: plays them.
        dataset: takes the steps, and offers batches.
        exchange: the way to the owner of the weights.
        heartbeat: the worker beats and counts in its own row.
        reporter: what is measured goes there; closed by whoever made it.
        collect_steps: agent steps between two rounds of batches.
        accumulate_grads: batches whose mean gradients are handed over together.
        cuda_graphs: see :class:`~mario_agents.runtime.learning.BatchLearning`.
        log_interval: agent steps between two rows of metrics.
        schedules: of options, by name; what they are now is measured.
        synchronous: whether all workers make the same number of rounds.
    """

    def __init__(
        self,
        context: WorkerContext,
        learner: Learner,
        player: Learner,
        games: WorkerEnvs,
        actor: Actor,
        dataset: Dataset,
        exchange: GradientExchange,
        heartbeat: Board,
        reporter: WorkerReporter,
        *,
        collect_steps: int,
        accumulate_grads: int,
        cuda_graphs: bool,
        log_interval: int,
        schedules: Mapping[str, Schedule],
        synchronous: bool,
    ) -> None:
        self.context, self.actor, self.dataset, self.reporter = context, actor, dataset, reporter
        self.heartbeat, self._games, self._exchange = heartbeat, games, exchange
        self._learner, self._player = learner, player
        self._row = heartbeat.row(context.worker)
        self._collect_steps, self._schedules = collect_steps, schedules
        self._begun = begun_at(context, heartbeat), self._row.count("steps")
        """Steps of the run, and of this worker, when it began."""
        self._synchronous = synchronous
        self.learning = BatchLearning(
            learner,
            context.device,
            dataset,
            heartbeat,
            self._row,
            reporter.trained,
            accumulate=accumulate_grads,
            cuda_graphs=cuda_graphs,
        )
        self._version = 0
        """Of the weights that the oldest of the gradients belong to that are not handed over."""
        self._usage = SnapshotUsage()
        self._rows = StepInterval(log_interval, heartbeat.total("steps"))
        self._told = time.monotonic()

    def advance(self) -> None:
        """A round: play for a while, hand over the gradients of every batch that is due, report.

        From here it is three calls to the optimizer if that is in this process: the exchange's
        ``submit``, :meth:`Updater.apply <mario_agents.core.updater.Updater.apply>`, its step.
        """
        if not self._exchange.begin_round():
            return
        if not self.learning.computer.batches:
            self._version = self._exchange.version
        collected = self._collect()
        with self.context.stopwatch.measure("time_learning"):
            for gradients in self.learning.gradients(self._step()):
                self._submitted(self._exchange.submit(gradients, self._version))
        self._report(collected)

    def end(self) -> None:
        """The last round is over: write the last row."""
        self._record_snapshot_usage()
        self.reporter.write(self.heartbeat.total("steps"))

    def flush(self, state: State = "running") -> None:
        """Tell the main process how things are; never blocks."""
        self._told = time.monotonic()
        self.reporter.flush(self.heartbeat.total("steps"), state)

    def tensors(self) -> dict[str, Tensor]:
        """Random states for a checkpoint, by name."""
        return {f"policy.{name}": each for name, each in self.actor.policy.tensors().items()}

    def state(self) -> dict[str, Any]:
        """Counters and the like for a checkpoint, JSON-able."""
        return {"report": self.reporter.logger.state(), "games": self._games.state()}

    def restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Take over :meth:`tensors` and :meth:`state`; the games have begun anew, where the
        curriculum was.

        Raises:
            KeyError: if something is missing.
            CheckpointError: if something does not fit.
        """
        self.actor.policy.restore(select(tensors, "policy."))
        self.reporter.logger.restore(state["report"])

    def _step(self) -> int:
        """Agent steps of the whole run so far, which schedules go by.

        How many of a round the others have counted already is a matter of time: synchronous workers
        go by their own steps, so that a run can be repeated.
        """
        if not self._synchronous:
            return self.heartbeat.total("steps")
        all_steps, own = self._begun
        return all_steps + (self._row.count("steps") - own) * self.context.workers

    def _collect(self) -> CollectResult:
        if self._player is not self._learner:
            self._player.model.load_state_dict(self._learner.model.state_dict())
        self._row.beat()
        at = self._step()
        self._games.follow_schedules(at)
        collected = self.actor.collect(self._collect_steps, at, self._keep)
        self._row.beat()
        self._row.add("steps", collected.steps)
        self._row.add("episodes", len(collected.episodes))
        self._row.add("deaths", len(collected.deaths))
        self._row.add("flags", sum(episode.flags for episode in collected.episodes))
        collected.gauges.update(self.actor.policy.gauges(at))
        collected.gauges.update(gauges_of(self._schedules, at))
        return collected

    def _keep(self, step: Step) -> None:
        self.dataset.add(step, self.context.worker)

    def _submitted(self, taken: bool) -> None:
        if taken:
            self._row.add("packets")
            self.reporter.submitted()
        self._exchange.sync()
        self._version = self._exchange.version

    def _report(self, collected: CollectResult) -> None:
        """Take note of a round, and do what is due by now: videos, files, rows, messages."""
        collected.gauges.update(self.dataset.gauges())
        self.reporter.collected(collected)
        step = self.heartbeat.total("steps")
        self._games.tick(step)
        row_due = self._rows.due(step)
        if not row_due and time.monotonic() - self._told < FLUSH_SECONDS:
            return
        self._record_snapshot_usage()
        if row_due:
            self.reporter.write(step)
        self.flush()

    def _record_snapshot_usage(self) -> None:
        before, self._usage = self._usage, self._games.snapshot_usage()
        self._row.add("saves", self._usage.saves - before.saves)
        self._row.add("restores", self._usage.restores - before.restores)
        self.reporter.record_snapshot_usage(self._usage, before)
