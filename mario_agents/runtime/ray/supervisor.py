"""A run whose workers and coordinator are actors of a Ray cluster."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from mario_agents.config import TrainConfig
from mario_agents.core.algorithm import Algorithm, share_of
from mario_agents.run import Checkpoint, RunDir
from mario_agents.runtime.attended import AttendedClock
from mario_agents.runtime.build import workers_ever
from mario_agents.runtime.experience import step_layout
from mario_agents.runtime.packet import PacketLayout
from mario_agents.runtime.ray.cluster import JoinedCluster
from mario_agents.runtime.ray.coordinator_actor import CoordinatorActor
from mario_agents.runtime.ray.files_actor import RunFiles
from mario_agents.runtime.ray.handle import ActorHandle
from mario_agents.runtime.ray.messages import Sizes
from mario_agents.runtime.ray.placement import learner_node, pinned
from mario_agents.runtime.ray.run_files import RunPlace
from mario_agents.runtime.ray.worker_actor import WorkerActor
from mario_agents.runtime.ray.worker_task import WorkerTask
from mario_agents.runtime.saved import counters_of
from mario_agents.runtime.shm.heartbeat import SharedHeartbeat
from mario_agents.runtime.supervisor import Supervisor, WorkerSlot
from mario_agents.runtime.weights import weight_layout
from mario_agents.telemetry.event_hub import EventHub
from mario_agents.telemetry.events import COORDINATOR
from mario_envkit.errors import RunError

ROOM_SECONDS = 30.0
"""A worker that has found no place for so long is no longer waited for."""
LEARNER_SECONDS = 120.0
"""Time that the learner has to find its place, and to import torch there."""
LAST_SECONDS = 10.0
"""Time that the coordinator has to say what workers counted that have ended."""
COORDINATOR_CALLS = 10_000
"""Calls to the coordinator's actor that may wait for news at the same time."""

log = logging.getLogger(__name__)


class RaySupervisor(Supervisor):
    """A :class:`~mario_agents.runtime.supervisor.Supervisor` of actors.

    Ray restarts none of them: it is done here, as with processes. A worker whose node is lost is
    started again on another one as soon as there is room; meanwhile the others go on.

    Raises:
        ConfigError: if the cluster is too small.
    """

    def __init__(
        self,
        algorithm: Algorithm[Any, Any],
        config: TrainConfig,
        run: RunDir,
        hub: EventHub,
        checkpoint: Checkpoint | None,
        cluster: JoinedCluster,
    ) -> None:
        import ray

        self._ray = ray
        self._learner_node = learner_node(config, cluster.home)
        heartbeat = SharedHeartbeat.private(workers=workers_ever(config, checkpoint))
        super().__init__(algorithm, config, run, hub, checkpoint, heartbeat)
        central = share_of(algorithm, config) == "experience"
        learner, spaces = self.learner, self.plan.spaces
        self._layout = step_layout(algorithm, config, learner, spaces) if central else None
        self._sizes = Sizes(weight_layout(learner.model).size, PacketLayout(learner).size)
        path = str(run.path.absolute())
        files = ray.remote(RunFiles).options(
            num_cpus=0, scheduling_strategy=pinned(cluster.home), max_task_retries=-1
        )
        self._place = RunPlace(path, cluster.home, files.remote(path))
        self._actor: Any = None
        """The coordinator's."""
        self._answer: Any = None
        self._closing = False
        self._roomless: dict[int, float] = {}
        """Since when workers wait for a place; infinity if that has been told."""

    def begin(self) -> None:
        """Start the learner, and the workers when it has its place, which they might take.

        Raises:
            RunError: if there is no room for it.
        """
        self.coordinator = coordinator = self._start_coordinator()
        clock = AttendedClock()
        while coordinator.node is None and coordinator.exit_status is None:
            if clock() > LEARNER_SECONDS:
                raise RunError(
                    f"There was no room in the Ray cluster for the learner within "
                    f"{LEARNER_SECONDS:g} seconds ({self.config.learner_cpus:g} CPUs, "
                    f"{self.config.learner_gpus:g} GPUs): others use it, see ray status."
                )
            self.advance()
        for slot in self.slots:
            slot.start()

    def advance(self) -> None:
        """Take in events for a moment, and what the coordinator knows of everybody."""
        super().advance()
        if self._answer is None:
            self._answer = self._actor.board.remote(self.heartbeat.stage)
        ready, _ = self._ray.wait([self._answer], timeout=0)
        if not ready:
            return
        answer, self._answer = self._answer, None
        self._take(answer)

    def _last_counters(self) -> None:
        self._take(self._actor.board.remote(self.heartbeat.stage), LAST_SECONDS)

    def _take(self, answer: Any, seconds: float | None = None) -> None:
        try:
            rows = self._ray.get(answer, timeout=seconds)
        except self._ray.exceptions.RayError:  # its handle tells what that means
            return
        for number, row in enumerate(rows):
            self.heartbeat.row(number).adopt(row)

    def watch(self) -> None:
        """Replace workers that are gone, check the coordinator, and look who has no place."""
        super().watch()
        for slot in self.slots:
            node = slot.process.node if isinstance(slot.process, ActorHandle) else None
            if node is not None and self.nodes.get(slot.name) != node:
                self.nodes[slot.name] = node
                log.info("Worker %d is on %s.", slot.number, node)
            if node is not None:
                self._found_room(slot)
            elif slot.process is not None:
                self._without_room(slot)
        if isinstance(self.coordinator, ActorHandle) and (node := self.coordinator.node):
            self.nodes[COORDINATOR] = node

    @property
    def done(self) -> bool:
        """Whether all workers have ended by themselves, or the work is done without those that have
        no place."""
        complete = self.heartbeat.total("steps") >= self.config.total_steps
        return all(slot.done or (complete and slot.number in self._roomless) for slot in self.slots)

    def end(self, *, complete: bool, seconds: float = 60.0) -> None:
        """As of every supervisor; who has no place will not begin any more."""
        for slot in self.slots:
            if slot.number in self._roomless and slot.process is not None:
                slot.process.kill()
                slot.process = None
        super().end(complete=complete, seconds=seconds)

    def _without_room(self, slot: WorkerSlot) -> None:
        since = self._roomless.setdefault(slot.number, time.monotonic())
        if time.monotonic() - since > ROOM_SECONDS:
            if self._has_room():  # it is about to begin
                self._roomless[slot.number] = time.monotonic()
                return
            self._roomless[slot.number] = float("inf")
            self._actor.pass_over.remote(slot.number)
            if isinstance(slot.process, ActorHandle):
                slot.process.passed_over()
            running = len(self.slots) - len(self._roomless)
            log.warning(
                "There is no room in the Ray cluster for worker %d (%g CPUs, %g GPUs): training "
                "goes on with %d of %d workers until there is.",
                slot.number,
                self.config.worker_cpus,
                self.config.worker_gpus,
                running,
                len(self.slots),
            )

    def _has_room(self) -> bool:
        """Whether a worker could begin."""
        free, config = self._ray.available_resources(), self.config
        return bool(
            free.get("CPU", 0.0) >= config.worker_cpus
            and free.get("GPU", 0.0) >= config.worker_gpus
        )

    def _found_room(self, slot: WorkerSlot) -> None:
        if self._roomless.pop(slot.number, 0.0) == float("inf"):
            log.warning("Worker %d has found room on %s.", slot.number, self.nodes[slot.name])

    def _start_coordinator(self) -> ActorHandle:
        config, board = self.config, self.heartbeat
        remote = self._ray.remote(CoordinatorActor).options(
            num_cpus=config.learner_cpus,
            num_gpus=config.learner_gpus,
            scheduling_strategy=pinned(self._learner_node),
            max_concurrency=COORDINATOR_CALLS,
            # Of a connection that breaks for a while: nothing is done twice by a repeated call.
            max_task_retries=-1,
        )
        self._actor = remote.remote(
            self.plan, self._sizes, self._layout, counters_of(board), self._place
        )
        row = board.row(board.coordinator)

        def vacate() -> None:
            row.vacate()
            if self._answer is not None:  # Ray complains of calls that nobody answers
                self._ray.wait([self._answer], timeout=1)

        return ActorHandle(COORDINATOR, row, self._actor, vacate)

    def _start_worker(self, number: int, generation: int) -> ActorHandle:
        config, board = self.config, self.heartbeat
        row, place = board.row(number), self._place.for_another()
        remote = self._ray.remote(WorkerActor).options(
            num_cpus=config.worker_cpus, num_gpus=config.worker_gpus, scheduling_strategy="SPREAD"
        )
        task = WorkerTask(
            self.plan,
            self._sizes,
            self._layout,
            place,
            self._actor,
            number,
            generation,
            board.workers,
        )

        def vacate() -> None:
            row.vacate()
            if not self._closing:
                self._actor.vacate.remote(number, generation + 1)
                place.files.revoke.remote(place.lease)

        return ActorHandle(f"worker_{number}", row, remote.remote(), vacate, task)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing = True
        super().__exit__(kind, error, trace)
        self._ray.kill(self._place.files)


@contextmanager
def ray_topology(
    algorithm: Algorithm[Any, Any],
    config: TrainConfig,
    run: RunDir,
    hub: EventHub,
    checkpoint: Checkpoint | None,
    cluster: JoinedCluster,
) -> Iterator[Supervisor]:
    """Actors for workers and coordinator; none of them is left behind."""
    with RaySupervisor(algorithm, config, run, hub, checkpoint, cluster) as supervisor:
        yield supervisor
