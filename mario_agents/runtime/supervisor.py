"""A run with worker processes, as its main process watches, replaces and stops them, wherever they
are."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol

import torch

from mario_agents.acting.environments import make_vector
from mario_agents.config import TrainConfig, to_plain
from mario_agents.core.algorithm import Algorithm, Spaces, name_of
from mario_agents.imitation.kept import read_runs
from mario_agents.run import Checkpoint, RunDir
from mario_agents.runtime.attached import RunPlan
from mario_agents.runtime.attended import AttendedClock
from mario_agents.runtime.build import build_learner
from mario_agents.runtime.saved import restore_counters
from mario_agents.runtime.shm.heartbeat import HeartbeatRow, SharedHeartbeat
from mario_agents.telemetry.event_hub import EventHub
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


class Handle(Protocol):
    """One process of a run, for the main process.

    Attributes:
        name: of the process.
    """

    name: str

    @property
    def exit_status(self) -> int | None:
        """None while it lives; 0 if it has done its work, 1 if it has explained why not."""

    @property
    def joined(self) -> bool:
        """Whether it has given a sign of life."""

    def silent_for(self) -> float:
        """Seconds since the last sign of life that there should have been; to be asked often."""

    def kill(self) -> None:
        """End it at once, and leave its row empty."""

    def join(self) -> None:
        """Leave its row empty; it is dead or about to be."""

    def reason(self) -> str:
        """Why it, which is dead, has ended: a sentence."""


class WorkerSlot:
    """One worker's place in a run, and the process that has it.

    Args:
        number: of the worker.
        start: starts the process of a worker, which so many were before.
        row: of the worker.
    """

    def __init__(self, number: int, start: Callable[[int, int], Handle], row: HeartbeatRow) -> None:
        self.number, self.name = number, f"worker_{number}"
        self._start, self._row = start, row
        self._generation = 0
        self._quick_deaths = 0
        self._due = 0.0
        self.process: Handle | None = None
        self.done = False

    def start(self) -> None:
        """Start a process."""
        self.process = self._start(self.number, self._generation)
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

    def _lost(self, process: Handle, timeout: float) -> None:
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


class Supervisor(ABC):
    """Implements :class:`mario_agents.runtime.run.Topology` with a process for each worker, and one
    for the coordinator; use it as a context manager, which leaves no process behind.

    Args:
        algorithm, config, run: what is trained, and where it is written.
        hub: where the events of the processes go.
        checkpoint: what a resumed run goes on from.
        heartbeat: with room for :func:`~mario_agents.runtime.build.workers_ever`.

    Raises:
        TrainerError: if workers could not import the algorithm.
        CheckpointError: if the checkpoint lacks something.
    """

    def __init__(
        self,
        algorithm: Algorithm[Any, Any],
        config: TrainConfig,
        run: RunDir,
        hub: EventHub,
        checkpoint: Checkpoint | None,
        heartbeat: SharedHeartbeat,
    ) -> None:
        self.config, self.run, self.hub, self.heartbeat = config, run, hub, heartbeat
        self.nodes: dict[str, str] = {}
        """Names of the machines that processes are on, by the names of the processes."""
        algorithm_name = name_of(algorithm)
        envs = make_vector(algorithm.env_kwargs(config), 1)
        spaces = Spaces.of(envs)
        envs.close()
        self.learner = build_learner(algorithm, config, spaces, torch.device("cpu"))
        """As every process makes it, to learn how much room its numbers need."""
        if checkpoint is not None:
            restore_counters(heartbeat, run, checkpoint)
        self.plan = RunPlan(
            run=str(run.path),
            algorithm=algorithm_name,
            options=to_plain(config),
            spaces=spaces,
            events=hub.address,
            token=hub.token,
            checkpoint=checkpoint.name if checkpoint else None,
            step=heartbeat.total("steps"),
            games=checkpoint.state.get("worker", {}).get("games") if checkpoint else None,
            began=time.monotonic(),
            demonstrations=tuple(each.to_json() for each in read_runs(algorithm, config, run)),
        )
        self.coordinator: Handle | None = None
        self.slots = [
            WorkerSlot(number, self._start_worker, heartbeat.row(number))
            for number in range(config.workers)
        ]

    @abstractmethod
    def _start_coordinator(self) -> Handle:
        """Start the coordinator's process."""

    @abstractmethod
    def _start_worker(self, number: int, generation: int) -> Handle:
        """Start the process of worker ``number``, which ``generation`` others were before."""

    def _last_counters(self) -> None:  # noqa: B027 - with shared memory they are known
        """All workers have ended: what they counted is to be known from here on."""

    def begin(self) -> None:
        """Start all processes."""
        self.coordinator = self._start_coordinator()
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
            self.advance()
        unsaved = None
        for process in processes:
            if process.exit_status:
                reason = f"{process.name} failed at its end: {process.reason()}"
                log.warning("%s", reason)
                unsaved = unsaved or reason
            process.kill()
        self._last_counters()
        self.heartbeat.finish(complete=complete)
        assert self.coordinator is not None
        while self.coordinator.exit_status is None and self.coordinator.silent_for() < seconds:
            self.advance()
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

    def _coordinator_lost(self, process: Handle) -> None:
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
