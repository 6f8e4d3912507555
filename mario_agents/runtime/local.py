"""Training in one process: a worker and the coordinator take turns."""

from __future__ import annotations

import math
import time
from typing import Any

import torch
from gymnasium.vector import VectorEnv

from mario_agents.config import TrainConfig
from mario_agents.core.algorithm import Algorithm, Spaces, WorkerContext
from mario_agents.nn.device import resolve_device
from mario_agents.run import Checkpoint, RunDir
from mario_agents.runtime.build import (
    build_coordinator,
    build_learner,
    build_worker,
    counters_of,
    open_hub,
    restore_counters,
)
from mario_agents.runtime.coordinator import incomplete
from mario_agents.runtime.evaluator import Evaluator
from mario_agents.runtime.exchange import LocalExchange
from mario_agents.runtime.heartbeat_monitor import HeartbeatMonitor
from mario_agents.runtime.reporters import WorkerReporter, headline
from mario_agents.runtime.shm.heartbeat import SharedHeartbeat
from mario_agents.runtime.signals import StopRequest
from mario_agents.runtime.step_interval import StepInterval
from mario_agents.runtime.worker import select
from mario_agents.runtime.worker_envs import WorkerEnvs
from mario_agents.telemetry.event_hub import EventHub
from mario_agents.telemetry.events import COORDINATOR
from mario_agents.telemetry.progress import open_display
from mario_envkit.closing import close_all, close_at_end


class LocalRun:
    """The parts of a run in one process.

    What a checkpoint restores exactly: weights, targets, optimizer, all counters and schedules,
    random states, and the dataset if it was saved. What it does not: the games, which begin new
    episodes, and an unsaved replay buffer.
    """

    def __init__(
        self,
        algorithm: Algorithm[Any, Any],
        config: TrainConfig,
        run: RunDir,
        envs: VectorEnv[Any, Any, Any],
        hub: EventHub,
        device: torch.device,
        checkpoint: Checkpoint | None,
    ) -> None:
        self.config = config
        spaces = Spaces.of(envs)
        step = checkpoint.step if checkpoint else 0
        self.learner = build_learner(algorithm, config, spaces, device)
        self.hub = hub
        self.coordinator = build_coordinator(
            algorithm,
            config,
            run,
            self.learner,
            spaces,
            self.hub.publisher(COORDINATOR),
            checkpoint,
        )
        self.heartbeat = SharedHeartbeat.private(workers=1)
        self.heartbeat.row(0).join()
        self._heartbeats = HeartbeatMonitor(self.heartbeat)
        reporter = WorkerReporter(
            run,
            0,
            algorithm.metrics,
            self.hub.publisher("worker_0"),
            resume_step=checkpoint.step if checkpoint else None,
        )
        self.worker = build_worker(
            algorithm,
            config,
            self.learner,
            envs,
            WorkerContext(0, 1, config.seed, step, 0, device, reporter.stopwatch),
            LocalExchange(self.coordinator),
            self.heartbeat,
            reporter,
        )
        self.evaluator = Evaluator(algorithm, config, run, spaces, device, self.coordinator.clock)
        if checkpoint:
            self._restore(run, checkpoint)

    @property
    def steps(self) -> int:
        """Agent steps so far, those before a resume included."""
        return self.heartbeat.total("steps")

    def advance(self) -> None:
        """Collect for a while, then make the updates that are due."""
        self.worker.advance()

    def evaluate(self) -> None:
        """Begin to play a few greedy episodes with the weights as they are now.

        Training goes on meanwhile, on cores that it leaves idle while it learns.
        """
        self.evaluator.start(self.learner, self.steps)

    def evaluate_last(self) -> None:
        """Evaluate the weights that the run ends with."""
        self.evaluator.start_last(self.learner, self.steps)
        self.take_evaluation(wait=True)

    def take_evaluation(self, *, wait: bool = False) -> None:
        """Take in an evaluation that has ended."""
        result = self.evaluator.result(wait=wait)
        if result is not None:
            self.coordinator.reporter.logger.track_all(result)

    def tell(self) -> dict[str, float]:
        """Tell the hub how things are; returns what a progress bar has room for."""
        self.worker.reporter.flush(self.steps)
        self.coordinator.flush(self.steps)
        self.hub.poll()
        heartbeats = self._heartbeats.take()
        if heartbeats is not None:
            self.hub.announce(heartbeats)
        return headline(self.hub)

    def write(self) -> None:
        """Write a row of all metrics."""
        self.worker.reporter.write(self.steps)
        self.coordinator.write(self.steps)
        # The hub is told of what only rows measure before it writes its own.
        self.tell()
        self.hub.write(self.steps)

    def save_chunk(self) -> None:
        """Write a piece of the dataset if there is one, so that little is left for a checkpoint.

        If the disk refused the last time, the next checkpoint tries again.
        """
        if self.coordinator.saving.problem is None:
            self.coordinator.saving.attempt(self._write_chunk)

    def save(self) -> None:
        """Write weights, and a checkpoint unless there is one of this step.

        Raises:
            RunError: if the disk refuses.
        """
        close_all(self._write_chunks, self._save)

    def _write_chunk(self) -> bool:
        return self.worker.dataset.write_chunk(self.coordinator.store.write_chunk)

    def _write_chunks(self) -> None:
        while self._write_chunk():
            self.heartbeat.row(0).beat()

    def _save(self) -> None:
        tensors = {f"worker.{name}": tensor for name, tensor in self.worker.tensors().items()}
        state = {"counters": counters_of(self.heartbeat), "worker": self.worker.state()}
        self.coordinator.save(self.steps, tensors, state, self.worker.dataset.chunks())

    def close(self) -> None:
        """Close the files; harmless when repeated.

        Raises:
            RunError: if something could not be written.
        """
        close_all(self.evaluator.close, self.worker.reporter.close, self.coordinator.reporter.close)

    def _restore(self, run: RunDir, checkpoint: Checkpoint) -> None:
        """The worker's half; the coordinator has its own already."""
        try:
            restore_counters(self.heartbeat, checkpoint.state["counters"])
            # A run that had worker processes saved nothing of theirs: the worker begins anew.
            if "worker" in checkpoint.state:
                for chunk in self.coordinator.store.read_chunks(checkpoint):
                    self.worker.dataset.read_chunk(chunk)
                tensors = select(checkpoint.tensors, "worker.")
                self.worker.restore(tensors, checkpoint.state["worker"])
        except KeyError as error:
            raise incomplete(run, error) from error


def train_in_process(
    algorithm: Algorithm[Any, Any], config: TrainConfig, run: RunDir, checkpoint: Checkpoint | None
) -> None:
    """Train without any other process; see :func:`mario_agents.runtime.engine.train`."""
    torch.set_num_threads(config.torch_threads)
    device = resolve_device(config.device)
    with (
        close_at_end(WorkerEnvs(algorithm, config, run)) as games,
        open_hub(algorithm, config, run, checkpoint) as hub,
        close_at_end(
            LocalRun(algorithm, config, run, games.envs, hub, device, checkpoint)
        ) as parts,
    ):
        stop = _loop(parts, games, run)
    if stop.requested:
        raise stop.exception()


def _loop(parts: LocalRun, games: WorkerEnvs, run: RunDir) -> StopRequest:
    config = parts.config
    minutes = math.inf if config.max_minutes is None else config.max_minutes
    deadline = time.monotonic() + 60 * minutes
    parts.coordinator.clock.begin()
    # The first thing saved is the beginning: from here on, every run can be resumed.
    parts.save()
    progress = open_display(
        run.path, config.total_steps, initial_step=parts.steps, enabled=config.ui
    )
    evaluation, rows, checkpoints = (
        StepInterval(interval, parts.steps)
        for interval in (config.eval_interval, config.log_interval, config.checkpoint_interval)
    )
    with progress, StopRequest() as stop:
        while (
            parts.steps < config.total_steps and time.monotonic() < deadline and not stop.requested
        ):
            parts.advance()
            games.tick(parts.steps)
            parts.worker.record_snapshot_usage(games.snapshot_usage())
            progress.update(parts.steps, **parts.tell())
            parts.take_evaluation()
            parts.save_chunk()
            if evaluation.due(parts.steps):
                parts.evaluate()
            if rows.due(parts.steps):
                parts.write()
            if checkpoints.due(parts.steps):
                parts.coordinator.saving.attempt(parts.save)
                parts.evaluator.flush()
        parts.coordinator.clock.end()
        parts.take_evaluation(wait=True)
        if not stop.requested:
            parts.evaluate_last()
        parts.write()
        parts.coordinator.save_end(parts.save)
    return stop
