"""The coordinator: owns weights and optimizer, applies gradients; evaluates and saves when due."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mario_agents.config import TrainConfig
from mario_agents.core.algorithm import Algorithm, Spaces
from mario_agents.core.gradients import Gradients
from mario_agents.core.updater import Updater
from mario_agents.core.weight_average import WeightAverage
from mario_agents.run import Checkpoint, CheckpointStore, RunDir, write_weights
from mario_agents.run.clock import TrainingClock
from mario_agents.run.storage import Deferrable
from mario_agents.runtime.build import build_learner, run_metrics
from mario_agents.runtime.evaluator import Evaluator
from mario_agents.runtime.initial import begin_with, first_weights, read_initial
from mario_agents.runtime.reporters import CoordinatorReporter, State
from mario_agents.runtime.saved import SavedLearning, counters_of, incomplete
from mario_agents.runtime.step_interval import StepInterval
from mario_agents.runtime.transport import Board
from mario_agents.runtime.worker import FLUSH_SECONDS, TrainingWorker
from mario_agents.telemetry.events import Publisher
from mario_envkit.closing import close_all
from mario_envkit.command_line import shell_words
from mario_envkit.errors import RunError, TrainerError

EVALUATION_WAIT_SECONDS = 0.05
"""Seconds between two signs of life while an evaluation is awaited."""


class TrainingCoordinator:
    """Applies gradients; evaluates, and writes rows, checkpoints and weights, when they are due.

    In a run without other processes it is the worker's
    :class:`~mario_agents.runtime.exchange.GradientExchange`: both share :attr:`learner`.

    Args:
        algorithm, config, run: what is trained, and where it is written.
        spaces: of the environments.
        device: where the weights live.
        publisher: takes the coordinator's events.
        heartbeat: says how far the workers are; the coordinator beats in its own row.
        checkpoint: what a resumed run begins with.
        began: when training began, see :class:`~mario_agents.run.clock.TrainingClock`.

    Raises:
        CheckpointError: if ``checkpoint`` does not fit.
    """

    def __init__(
        self,
        algorithm: Algorithm[Any, Any],
        config: TrainConfig,
        run: RunDir,
        spaces: Spaces,
        device: torch.device,
        publisher: Publisher,
        heartbeat: Board,
        checkpoint: Checkpoint | None,
        *,
        began: float | None = None,
    ) -> None:
        self.config, self.run, self.device = config, run, device
        self.learner = build_learner(algorithm, config, spaces, device)
        self.updater: Updater = algorithm.updater(config, self.learner)
        self.updater.lr_scaling = config.lr_scaling
        self.store = CheckpointStore(run.checkpoint_path, keep=config.keep_checkpoints)
        resume_step = checkpoint.step if checkpoint else None
        metrics = run_metrics(algorithm, config)
        self.reporter = CoordinatorReporter(run, metrics, publisher, resume_step=resume_step)
        self.clock = TrainingClock(began)
        self.worker: TrainingWorker | None = None
        """The worker in this process, if there is one: it is saved with the weights."""
        self.learning: SavedLearning | None = None
        """What learns in this process, if that is not the workers'."""
        self._player, self._metadata = algorithm.player(self.learner), spaces.metadata()
        self._evaluator = Evaluator(algorithm, config, run, spaces, device, self.clock)
        self._heartbeat, self._row = heartbeat, heartbeat.row(heartbeat.coordinator)
        self._saving = Deferrable("A checkpoint")
        self._saved: tuple[int, int] | None = None
        self._told = 0.0
        self._evaluations, self._rows, self._checkpoints = (
            StepInterval(interval, self.step)
            for interval in (config.eval_interval, config.log_interval, config.checkpoint_interval)
        )
        if checkpoint is None and (weights := first_weights(config, run)) is not None:
            begin_with(algorithm, config, spaces, self.learner, read_initial(weights))
        if config.weight_average:
            self.updater.average = WeightAverage(self._player, config.weight_average)
        if checkpoint:
            self._restore(checkpoint)
            self._saved = checkpoint.step, self.version

    @property
    def version(self) -> int:
        """Number of the present weights: updates so far."""
        return self.updater.updates

    @property
    def step(self) -> int:
        """Agent steps of all workers so far."""
        return self._heartbeat.total("steps")

    def submit(self, gradients: Gradients, version: int) -> bool:
        """Make an update; always takes them. No other update was made since ``version``.

        Raises:
            TrainerError: if they are not finite; the weights are unchanged.
        """
        with self.reporter.stopwatch.measure("optimizing"):
            metrics = self.updater.apply(gradients)
        self.reporter.updated({**metrics, "packets": 1, "staleness": 0.0})
        return True

    def begin_round(self) -> bool:
        """Nobody is to be waited for."""
        return True

    def sync(self) -> None:
        """The weights of :attr:`learner` are the newest."""

    def begin(self) -> None:
        """Save the beginning: from here on, the run can be resumed.

        Raises:
            RunError: if the disk refuses.
        """
        self.save()
        self._evaluator.begin(self.step)

    def tick(self) -> None:
        """Beat, and do what is due by now; call it often.

        Nothing is due in the last moments of a run: :meth:`end` does everything once more.

        Raises:
            TrainerError: if an evaluation failed.
        """
        self._row.beat()
        self.take_evaluation()
        step = self.step
        row_due = False
        self._write_chunk_early()
        if step < self.config.total_steps and not self._heartbeat.stopping:
            # One that is due while another one is played begins when that has ended.
            if self._evaluator.free and self._evaluations.due(step):
                self._evaluator.start(self._weights_that_play(), step)
            if row_due := self._rows.due(step):
                self._write(step)
            if self._checkpoints.due(step):
                self._saving.attempt(self.save)
                self._evaluator.flush()
        if row_due or time.monotonic() - self._told > FLUSH_SECONDS:
            self.flush()

    def end(self, *, complete: bool) -> None:
        """Training is over: evaluate for the last time, write the last row, save.

        Args:
            complete: the run's budget is spent; it was not interrupted, which would not wait for
                one more evaluation.

        Raises:
            TrainerError: if an evaluation failed.
            RunError: if the disk refuses; says how to go on.
        """
        self.clock.end()
        self._evaluator.end_training()
        self.take_evaluation(wait=True)
        if complete:
            self._evaluator.start_last(self._weights_that_play(), self.step)
            self.take_evaluation(wait=True)
        self._write(self.step)
        self.flush()
        try:
            self.save()
        except RunError as error:
            raise RunError(
                f"The end of the run is not saved. {error} Then go on from the last checkpoint "
                f"with: {self._again()}"
            ) from error

    def take_evaluation(self, *, wait: bool = False) -> None:
        """Take in an evaluation that has ended; ``wait`` for one that has not, and for videos.

        Raises:
            TrainerError: what it failed with, and how to go on; the run is saved before.
        """
        while True:
            try:
                result = self._evaluator.result()
            except TrainerError as error:
                self._saving.attempt(self.save)
                raise TrainerError(
                    f"{error} Training has stopped; go on from the last checkpoint with: "
                    f"{self._again()}"
                ) from error.__cause__
            if result is not None:
                self.reporter.evaluated(result)
            if not (wait and self._evaluator.playing):
                return
            self._row.beat()
            self._evaluator.wait(EVALUATION_WAIT_SECONDS)

    def flush(self, state: State = "running") -> None:
        """Tell the main process how things are; never blocks."""
        self._told = time.monotonic()
        self._read_clock()
        self.reporter.flush(self.step, self.version, state)

    def save(self) -> None:
        """Write the latest weights, and a checkpoint unless nothing has happened since the last.

        Raises:
            RunError: if the disk refuses; what was there before is intact.
        """
        step = self.step
        metadata = {**self._metadata, "step": step}
        close_all(
            self._write_chunks,
            lambda: self._save_checkpoint(step),
            lambda: write_weights(self.run, self._weights_that_play(), metadata),
        )

    def close(self) -> None:
        """Close the files; harmless when repeated.

        Raises:
            RunError: if something could not be written.
        """
        close_all(self._evaluator.close, self.reporter.close)

    def _weights_that_play(self) -> Mapping[str, Tensor]:
        """The latest, or their average; they move with the next update."""
        average = self.updater.average
        return self._player.state_dict() if average is None else average.weights()

    def _write(self, step: int) -> None:
        self._read_clock()
        self.reporter.write(step)

    def _write_chunk_early(self) -> None:
        """Write a piece of the dataset if there is one, so that little is left for a checkpoint.

        If the disk refused the last time, the next checkpoint tries again.
        """
        if self._saving.problem is None:
            self._saving.attempt(lambda: self._write_chunk(saving=False))

    def _write_chunk(self, *, saving: bool) -> bool:
        return self.learning is not None and self.learning.write_chunk(self.store, saving=saving)

    def _write_chunks(self) -> None:
        while self._write_chunk(saving=True):
            self._row.beat()

    def _save_checkpoint(self, step: int) -> None:
        if self._saved == (step, self.version):  # a second one would push an older one out
            return
        self._read_clock()
        tensors, chunks = self.updater.tensors(), tuple[str, ...]()
        state: dict[str, Any] = {
            "counters": counters_of(self._heartbeat),
            "updater": self.updater.state(),
            "coordinator": self.reporter.logger.state(),
        }
        if self.learning is not None:
            chunks = self.learning.chunks()
            tensors |= self.learning.tensors()
            state |= self.learning.state()
        if self.worker is not None:
            tensors |= {f"worker.{name}": each for name, each in self.worker.tensors().items()}
            state["worker"] = self.worker.state()
        self.store.save(step, tensors, state, chunks)
        self._saved = step, self.version

    def _read_clock(self) -> None:
        self.reporter.logger.track("seconds", self.clock.seconds)

    def _again(self) -> str:
        return shell_words("mario-agents", "train", "--resume", self.run.path)

    def _restore(self, checkpoint: Checkpoint) -> None:
        try:
            self.updater.restore(checkpoint.tensors, checkpoint.state["updater"])
            self.reporter.logger.restore(checkpoint.state["coordinator"])
        except KeyError as error:
            raise incomplete(self.run, error) from error
        seconds = self.reporter.logger.value("seconds")
        if not math.isnan(seconds):  # checkpoints of older versions do not have it
            self.clock.go_on_from(seconds)
