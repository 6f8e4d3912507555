"""The coordinator: owns weights and optimizer, applies gradients, writes checkpoints."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from mario_agents.core.gradients import Gradients
from mario_agents.core.types import Metrics
from mario_agents.core.updater import Updater
from mario_agents.run import Checkpoint, CheckpointStore, RunDir, write_weights
from mario_agents.run.clock import TrainingClock
from mario_agents.run.storage import Deferrable
from mario_agents.runtime.reporters import CoordinatorReporter, State
from mario_envkit.closing import close_all
from mario_envkit.command_line import shell_words
from mario_envkit.errors import CheckpointError, RunError


class TrainingCoordinator:
    """Applies gradients, and writes checkpoints and weights.

    Args:
        run, store: where to.
        updater: owns the weights.
        player: what ``weights.safetensors`` holds.
        metadata: what it carries beside the weights.
        reporter: what is measured goes there.
        checkpoint: what a resumed run begins with.
        clock: how long it has been training.

    Raises:
        CheckpointError: if ``checkpoint`` does not fit.
    """

    def __init__(
        self,
        run: RunDir,
        store: CheckpointStore,
        updater: Updater,
        player: nn.Module,
        metadata: Mapping[str, object],
        reporter: CoordinatorReporter,
        checkpoint: Checkpoint | None,
        clock: TrainingClock,
    ) -> None:
        self.run, self.store, self.updater, self.player = run, store, updater, player
        self.reporter, self.clock = reporter, clock
        self._metadata = metadata
        self._saved: tuple[int, int] | None = None
        self.saving = Deferrable("A checkpoint")
        """Saves in the middle of a run: a disk that refuses is no reason to stop training."""
        if checkpoint:
            self._restore(checkpoint)
            self._saved = checkpoint.step, self.version

    @property
    def version(self) -> int:
        """Number of the present weights: updates so far."""
        return self.updater.updates

    def apply(self, gradients: Gradients, packets: int = 1, staleness: float = 0.0) -> Metrics:
        """Make an update from the mean gradients of ``packets`` packets.

        Args:
            gradients: the mean.
            packets: how many it is made of.
            staleness: updates that their weights were behind, on average.

        Raises:
            TrainerError: if they are not finite; the weights are unchanged.
        """
        with self.reporter.stopwatch.measure("optimizing"):
            metrics = self.updater.apply(gradients, packets)
        self.reporter.updated({**metrics, "packets": packets, "staleness": staleness})
        return metrics

    def flush(self, step: int, state: State = "running") -> None:
        """Tell the main process how things are; never blocks."""
        self._read_clock()
        self.reporter.flush(step, self.version, state)

    def write(self, step: int) -> None:
        """Write a row of metrics."""
        self._read_clock()
        self.reporter.write(step)

    def save(
        self,
        step: int,
        tensors: Mapping[str, Tensor],
        state: Mapping[str, Any],
        chunks: Iterable[str] = (),
    ) -> None:
        """Write the latest weights, and a checkpoint unless nothing has happened since the last.

        Args:
            step: agent steps of the whole run.
            tensors, state: what others want to have saved, by names of their own.
            chunks: names of what is in ``store`` already and belongs to the checkpoint.

        Raises:
            RunError: if the disk refuses; what was there before is intact.
        """
        close_all(
            lambda: self._save_checkpoint(step, tensors, state, chunks),
            lambda: write_weights(
                self.run, self.player.state_dict(), {**self._metadata, "step": step}
            ),
        )

    def save_end(self, save: Callable[[], object]) -> None:
        """Call ``save`` for the last time.

        Raises:
            RunError: if the disk refuses; says how to go on.
        """
        try:
            save()
        except RunError as error:
            again = shell_words("mario-agents", "train", "--resume", self.run.path)
            raise RunError(
                f"The end of the run is not saved. {error} Then go on from the last checkpoint "
                f"with: {again}"
            ) from error

    def _save_checkpoint(
        self,
        step: int,
        tensors: Mapping[str, Tensor],
        state: Mapping[str, Any],
        chunks: Iterable[str],
    ) -> None:
        if self._saved == (step, self.version):  # a second one would push an older one out
            return
        self._read_clock()
        own = {"updater": self.updater.state(), "coordinator": self.reporter.logger.state()}
        self.store.save(step, {**tensors, **self.updater.tensors()}, {**state, **own}, chunks)
        self._saved = step, self.version

    def _read_clock(self) -> None:
        self.reporter.logger.track("seconds", self.clock.seconds)

    def _restore(self, checkpoint: Checkpoint) -> None:
        try:
            self.updater.restore(checkpoint.tensors, checkpoint.state["updater"])
            self.reporter.logger.restore(checkpoint.state["coordinator"])
        except KeyError as error:
            raise incomplete(self.run, error) from error
        seconds = self.reporter.logger.value("seconds")
        if not math.isnan(seconds):  # checkpoints of older versions do not have it
            self.clock.go_on_from(seconds)


def incomplete(run: RunDir, error: KeyError) -> CheckpointError:
    """What to raise if a checkpoint lacks something."""
    return CheckpointError(
        f"The checkpoint of {run.path} lacks {error}; it was written by another version of "
        "mario-envkit: resume with that one, or start a new run."
    )
