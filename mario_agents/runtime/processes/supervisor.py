"""A run with worker processes, as its main process starts, watches, replaces and stops them."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import BaseContext
from types import TracebackType
from typing import Any

import torch

from mario_agents.acting.environments import make_vector
from mario_agents.config import TrainConfig, to_plain
from mario_agents.core.algorithm import Algorithm, Spaces, name_of, share_of
from mario_agents.run import Checkpoint, RunDir
from mario_agents.runtime.attended import AttendedClock
from mario_agents.runtime.build import build_learner, workers_ever
from mario_agents.runtime.experience import StepChannels, step_layout
from mario_agents.runtime.packet import PacketLayout
from mario_agents.runtime.processes.child import ProcessPlan
from mario_agents.runtime.processes.coordinator_process import coordinator_main
from mario_agents.runtime.processes.process import ProcessHandle, await_server, process_context
from mario_agents.runtime.processes.worker_process import worker_main
from mario_agents.runtime.saved import restore_counters
from mario_agents.runtime.shm.gradient_pool import SharedGradientPool
from mario_agents.runtime.shm.heartbeat import SharedHeartbeat
from mario_agents.runtime.shm.segments import SharedSegments
from mario_agents.runtime.weights import open_weights
from mario_agents.telemetry.event_hub import EventHub
from mario_agents.telemetry.events import COORDINATOR
from mario_envkit.command_line import shell_words
from mario_envkit.errors import RunError, TrainerError

SLOTS = 3
"""Packets of gradients that a worker may have sent and not seen applied before it has to wait."""
WATCH_SECONDS = 0.1
QUICK_DEATH_SECONDS = 30.0
"""A worker that lives no longer than this after its first sign of life has died at once."""
MAX_QUICK_DEATHS = 3
BACK_OFF_SECONDS = 0.5
MAX_BACK_OFF_SECONDS = 30.0
COORDINATOR_SECONDS = 60.0
"""The coordinator may be silent for so long at least: disks can be slow."""
STOP_SECONDS = 60.0
"""Time that processes have to end when they are asked to."""

log = logging.getLogger(__name__)


class WorkerSlot:
    """One worker's place in a run, and the process that has it.

    Args:
        number: of the worker.
        context: how processes are started.
        plan: of the run.
        heartbeat: of the run.
    """

    def __init__(
        self, number: int, context: BaseContext, plan: ProcessPlan, heartbeat: SharedHeartbeat
    ) -> None:
        self.number, self.name = number, f"worker_{number}"
        self._context, self._plan, self._row = context, plan, heartbeat.row(number)
        self._generation = 0
        self._quick_deaths = 0
        self._due = 0.0
        self.process: ProcessHandle | None = None
        self.done = False

    def start(self) -> None:
        """Start a process."""
        self.process = ProcessHandle(
            self._context,
            self.name,
            self._row,
            worker_main,
            self._plan,
            self.number,
            self._generation,
        )
        self._generation += 1

    def watch(self, timeout: float) -> bool:
        """Replace the process if it is dead or gives no sign of life; returns whether it was.

        Raises:
            TrainerError: if worker after worker has died at once.
        """
        if self.done:
            return False
        if self.process is None:
            if time.monotonic() >= self._due:
                self.start()
            return False
        status = self.process.exit_status
        if status is None and self.process.silent_for() <= timeout:
            return False
        if status == 0:
            self.process.join()
            self.process, self.done = None, True
            return False
        self._lost(self.process, timeout)
        return True

    def _lost(self, process: ProcessHandle, timeout: float) -> None:
        alive = process.exit_status is None
        heartbeat = self._row.read()
        process.kill()
        reason = f"It gave no sign of life for {timeout:g} seconds." if alive else process.reason()
        quick = not process.joined or heartbeat.lived + heartbeat.age < QUICK_DEATH_SECONDS
        self._quick_deaths = self._quick_deaths + 1 if quick else 0
        self.process = None
        if self._quick_deaths >= MAX_QUICK_DEATHS:
            raise TrainerError(
                f"Worker {self.number} ended {self._quick_deaths} times in a row soon after its "
                f"start, so the run was stopped: {reason}"
            )
        pause = min(BACK_OFF_SECONDS * 2 ** max(self._quick_deaths - 1, 0), MAX_BACK_OFF_SECONDS)
        self._due = time.monotonic() + pause
        log.warning(
            "Worker %d is gone and will be replaced in %g seconds: %s", self.number, pause, reason
        )


class Supervisor:
    """Implements :class:`mario_agents.runtime.run.Topology` with a process for each worker, and one
    for the coordinator; use it as a context manager, which leaves no process behind.

    Raises:
        RunError: if there is no shared memory, or sockets cannot be opened.
        TrainerError: if workers could not import the algorithm.
        CheckpointError: if the checkpoint lacks something.
    """

    def __init__(
        self,
        algorithm: Algorithm[Any, Any],
        config: TrainConfig,
        run: RunDir,
        hub: EventHub,
        segments: SharedSegments,
        checkpoint: Checkpoint | None,
    ) -> None:
        self.config, self.run, self.hub = config, run, hub
        self._context = process_context(config.workers)
        algorithm_name = name_of(algorithm)
        envs = make_vector(algorithm.env_kwargs(config), 1)
        spaces = Spaces.of(envs)
        envs.close()
        learner = build_learner(algorithm, config, spaces, torch.device("cpu"))
        workers = workers_ever(config, checkpoint)
        self.heartbeat = SharedHeartbeat.create(segments, workers=workers)
        if checkpoint is not None:
            restore_counters(self.heartbeat, run, checkpoint)
        pool, steps = None, None
        if share_of(algorithm, config) == "experience":
            layout = step_layout(algorithm, config, learner, spaces)
            steps = StepChannels.create(
                segments, layout, workers=config.workers, rounds_ahead=config.rounds_ahead
            )
        else:
            pool = SharedGradientPool.create(
                segments,
                workers=config.workers,
                size=PacketLayout(learner).size,
                slots=SLOTS,
                dtype=config.gradient_dtype,
            )
        self.plan = ProcessPlan(
            run=str(run.path),
            algorithm=algorithm_name,
            options=to_plain(config),
            spaces=spaces,
            pool=pool,
            steps=steps,
            weights=open_weights(learner, config, segments),
            heartbeat=self.heartbeat,
            events=hub.address,
            token=hub.token,
            checkpoint=checkpoint.name if checkpoint else None,
            step=self.heartbeat.total("steps"),
            games=checkpoint.state.get("worker", {}).get("games") if checkpoint else None,
            began=time.monotonic(),
        )
        await_server(self._context)
        self.coordinator: ProcessHandle | None = None
        self.slots = [
            WorkerSlot(number, self._context, self.plan, self.heartbeat)
            for number in range(config.workers)
        ]

    def begin(self) -> None:
        """Start all processes."""
        row = self.heartbeat.row(self.heartbeat.coordinator)
        self.coordinator = ProcessHandle(
            self._context, COORDINATOR, row, coordinator_main, self.plan
        )
        for slot in self.slots:
            slot.start()

    def advance(self) -> None:
        """Take in events for a moment."""
        self.hub.poll(WATCH_SECONDS)

    def watch(self) -> None:
        """Replace workers that are gone, and check the coordinator.

        Raises:
            RunError: if the coordinator is gone.
            TrainerError: if the coordinator or a worker failed for good.
        """
        for slot in self.slots:
            if slot.watch(self.config.heartbeat_timeout):
                self.hub.retire(slot.name)
        self._check_coordinator()

    @property
    def done(self) -> bool:
        """Whether all workers have ended by themselves."""
        return all(slot.done for slot in self.slots)

    def end(self, *, complete: bool, seconds: float = STOP_SECONDS) -> None:
        """Ask the workers, and then the coordinator, to end; returns when the last one has.

        Args:
            complete: the run's budget is spent: the coordinator is to evaluate the weights it ends
                with.
            seconds: how long workers, and a coordinator without a sign of life, may take.

        Raises:
            RunError, TrainerError: as :meth:`watch`, if the coordinator fails at its last save;
                RunError, when all have ended, if a worker failed at its end.
        """
        self.heartbeat.stop()
        clock = AttendedClock()
        processes = [slot.process for slot in self.slots if slot.process is not None]
        while any(process.exit_status is None for process in processes):
            if clock() > seconds:
                log.warning("Workers that did not stop within %g seconds were killed.", seconds)
                break
            self._check_coordinator()
            self.hub.poll(WATCH_SECONDS)
        unsaved = None
        for process in processes:
            if process.exit_status:
                reason = f"{process.name} failed at its end: {process.reason()}"
                log.warning("%s", reason)
                unsaved = unsaved or reason
            process.kill()
        self.heartbeat.finish(complete=complete)
        assert self.coordinator is not None
        while self.coordinator.exit_status is None and self.coordinator.silent_for() < seconds:
            self.hub.poll(WATCH_SECONDS)
        if self.coordinator.exit_status != 0:
            self._coordinator_lost(self.coordinator)
        self.coordinator.join()
        if unsaved is not None:
            raise RunError(unsaved)

    def _check_coordinator(self) -> None:
        process = self.coordinator
        assert process is not None
        patience = max(self.config.heartbeat_timeout, COORDINATOR_SECONDS)
        if process.exit_status is not None or process.silent_for() > patience:
            self._coordinator_lost(process)

    def _coordinator_lost(self, process: ProcessHandle) -> None:
        status = process.exit_status
        process.kill()
        if status == 1:  # it has explained itself
            raise TrainerError(process.reason())
        reason = "It gave no sign of life any more." if status is None else process.reason()
        raise RunError(
            f"The coordinator of the run is gone. {reason} Continue from the last checkpoint with: "
            f"{shell_words('mario-agents', 'train', '--resume', self.run.path)}"
        )

    def __enter__(self) -> Supervisor:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        processes = [slot.process for slot in self.slots if slot.process is not None]
        if self.coordinator is not None:
            processes.append(self.coordinator)
        for process in processes:
            process.kill()


@contextmanager
def process_topology(
    algorithm: Algorithm[Any, Any],
    config: TrainConfig,
    run: RunDir,
    hub: EventHub,
    checkpoint: Checkpoint | None,
) -> Iterator[Supervisor]:
    """Worker processes, a coordinator process and the memory that they share; none of them is left
    behind."""
    with (
        SharedSegments() as segments,
        Supervisor(algorithm, config, run, hub, segments, checkpoint) as supervisor,
    ):
        if segments.leftovers:
            log.info("Removed the shared memory of a run that was killed.")
        yield supervisor
