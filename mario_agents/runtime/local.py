"""Training in one process: a worker and the coordinator take turns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from mario_agents.config import TrainConfig
from mario_agents.core.algorithm import Algorithm, Spaces, WorkerContext
from mario_agents.imitation.kept import read_runs
from mario_agents.nn.device import resolve_device
from mario_agents.run import Checkpoint, RunDir
from mario_agents.runtime.build import build_worker, workers_ever
from mario_agents.runtime.coordinator import TrainingCoordinator
from mario_agents.runtime.curriculum_file import CurriculumFile
from mario_agents.runtime.reporters import WorkerReporter
from mario_agents.runtime.saved import SavedLearning, incomplete, restore_counters, select
from mario_agents.runtime.scheduled import metrics_of
from mario_agents.runtime.shm.heartbeat import SharedHeartbeat
from mario_agents.runtime.worker_envs import WorkerEnvs
from mario_agents.telemetry.event_hub import EventHub
from mario_agents.telemetry.events import COORDINATOR
from mario_envkit.closing import close_all, close_at_end


class LocalTopology:
    """Implements :class:`mario_agents.runtime.run.Topology` without any other process.

    What a checkpoint restores exactly: weights, targets, optimizer, all counters and schedules,
    random states, and the dataset if it was saved. What it does not: the games, which begin new
    episodes, and an unsaved replay buffer.

    Attributes:
        advance: a round of the worker, its updates included.
    """

    def __init__(
        self,
        algorithm: Algorithm[Any, Any],
        config: TrainConfig,
        run: RunDir,
        hub: EventHub,
        games: WorkerEnvs,
        checkpoint: Checkpoint | None,
    ) -> None:
        self.config, self._hub = config, hub
        self.nodes: dict[str, str] = {}
        self.heartbeat = SharedHeartbeat.private(workers=workers_ever(config, checkpoint))
        self.heartbeat.row(0).join()
        if checkpoint:
            restore_counters(self.heartbeat, run, checkpoint)
        device = resolve_device(config.device)
        self.coordinator = TrainingCoordinator(
            algorithm,
            config,
            run,
            Spaces.of(games.envs),
            device,
            hub.publisher(COORDINATOR),
            self.heartbeat,
            checkpoint,
        )
        step = checkpoint.step if checkpoint else None
        reporter = WorkerReporter(
            run, 0, metrics_of(algorithm, config), hub.publisher("worker_0"), resume_step=step
        )
        # A checkpoint of worker processes has nothing else of what the first of them counted.
        reporter.logger.start_from(self.heartbeat.row(0).read().counters)
        if checkpoint:  # before the games begin
            self._restore_games(games, run, checkpoint)
        context = WorkerContext(
            0,
            1,
            config.seed,
            step or 0,
            0,
            device,
            reporter.stopwatch,
            demonstrations=read_runs(algorithm, config, run),
        )
        learner, spaces = self.coordinator.learner, Spaces.of(games.envs)
        dataset = algorithm.dataset(config, learner, spaces, context)
        self.worker = build_worker(
            algorithm,
            config,
            learner,
            games,
            context,
            dataset,
            self.coordinator,
            self.heartbeat,
            reporter,
        )
        self.coordinator.worker = self.worker
        self.coordinator.learning = SavedLearning(self.worker.learning, context.shards)
        if checkpoint:
            self._restore(run, checkpoint)
        self.advance = self.worker.advance

    @property
    def done(self) -> bool:
        """Whether the budget of steps is used up."""
        return self.heartbeat.total("steps") >= self.config.total_steps

    def begin(self) -> None:
        """Start the clock, and save the beginning."""
        self.coordinator.clock.begin()
        self.coordinator.begin()

    def watch(self) -> None:
        """Evaluate, save and write rows where it is due."""
        self.coordinator.tick()
        self._hub.poll()

    def end(self, *, complete: bool) -> None:
        """Write the last rows, and save."""
        self.worker.end()
        self.worker.flush()
        self.coordinator.end(complete=complete)

    def close(self) -> None:
        """Close the files; harmless when repeated.

        Raises:
            RunError: if something could not be written.
        """
        close_all(self.worker.reporter.close, self.coordinator.close)

    @staticmethod
    def _restore_games(games: WorkerEnvs, run: RunDir, checkpoint: Checkpoint) -> None:
        """Go on in the curriculum where the run was, or, with workers, the first one of them."""
        state = checkpoint.state.get("worker", {}).get("games")
        if state is None and (stored := CurriculumFile(run, 0, interval=0, step=0).read()):
            state = stored[1]
        if state is not None:
            games.restore(state)

    def _restore(self, run: RunDir, checkpoint: Checkpoint) -> None:
        """The worker's half, and the dataset; the coordinator has its own already."""
        assert self.coordinator.learning is not None
        try:
            self.coordinator.learning.restore(self.coordinator.store, checkpoint)
            # A run that had worker processes saved nothing of theirs: the worker begins anew.
            if "worker" in checkpoint.state:
                tensors = select(checkpoint.tensors, "worker.")
                self.worker.restore(tensors, checkpoint.state["worker"])
        except KeyError as error:
            raise incomplete(run, error) from error


@contextmanager
def local_topology(
    algorithm: Algorithm[Any, Any],
    config: TrainConfig,
    run: RunDir,
    hub: EventHub,
    checkpoint: Checkpoint | None,
) -> Iterator[LocalTopology]:
    """Worker and coordinator of a run in this process, and the games; closed at the end."""
    torch.set_num_threads(config.torch_threads)
    with (
        close_at_end(WorkerEnvs(algorithm, config, run)) as games,
        close_at_end(LocalTopology(algorithm, config, run, hub, games, checkpoint)) as topology,
    ):
        yield topology
