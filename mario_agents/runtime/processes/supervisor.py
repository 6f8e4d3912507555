"""A run with worker processes on this machine."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mario_agents.config import TrainConfig
from mario_agents.core.algorithm import Algorithm, share_of
from mario_agents.run import Checkpoint, RunDir
from mario_agents.runtime.attached import Ways
from mario_agents.runtime.build import workers_ever
from mario_agents.runtime.experience import step_layout
from mario_agents.runtime.packet import PacketLayout
from mario_agents.runtime.processes.child import coordinator_main, worker_main
from mario_agents.runtime.processes.process import ProcessHandle, await_server, process_context
from mario_agents.runtime.shm.gradient_pool import SharedGradientPool
from mario_agents.runtime.shm.heartbeat import SharedHeartbeat
from mario_agents.runtime.shm.segments import SharedSegments
from mario_agents.runtime.shm.step_rings import step_rings
from mario_agents.runtime.supervisor import SLOTS, Supervisor
from mario_agents.runtime.weights import open_weights
from mario_agents.telemetry.event_hub import EventHub
from mario_agents.telemetry.events import COORDINATOR

log = logging.getLogger(__name__)


class ProcessSupervisor(Supervisor):
    """A :class:`~mario_agents.runtime.supervisor.Supervisor` of processes that share memory.

    Raises:
        RunError: if there is no shared memory, or sockets cannot be opened.
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
        self._context = process_context(config.workers)  # it imports while this process goes on
        heartbeat = SharedHeartbeat.create(segments, workers=workers_ever(config, checkpoint))
        super().__init__(algorithm, config, run, hub, checkpoint, heartbeat)
        self._ways = self._open_ways(algorithm, segments)
        await_server(self._context)

    def _open_ways(self, algorithm: Algorithm[Any, Any], segments: SharedSegments) -> Ways:
        config, pool, steps = self.config, None, None
        if share_of(algorithm, config) == "experience":
            layout = step_layout(algorithm, config, self.learner, self.plan.spaces)
            steps = step_rings(
                segments, layout, workers=config.workers, rounds_ahead=config.rounds_ahead
            )
        else:
            pool = SharedGradientPool.create(
                segments,
                workers=config.workers,
                size=PacketLayout(self.learner).size,
                slots=SLOTS,
                dtype=config.gradient_dtype,
            )
        return Ways(pool, steps, open_weights(self.learner, config, segments), self.heartbeat)

    def _start_coordinator(self) -> ProcessHandle:
        row = self.heartbeat.row(self.heartbeat.coordinator)
        return ProcessHandle(
            self._context,
            COORDINATOR,
            row,
            coordinator_main,
            self.plan,
            self._ways,
            self.heartbeat.name,
        )

    def _start_worker(self, number: int, generation: int) -> ProcessHandle:
        return ProcessHandle(
            self._context,
            f"worker_{number}",
            self.heartbeat.row(number),
            worker_main,
            self.plan,
            self._ways,
            self.heartbeat.name,
            number,
            generation,
        )


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
        ProcessSupervisor(algorithm, config, run, hub, segments, checkpoint) as supervisor,
    ):
        if segments.leftovers:
            log.info("Removed the shared memory of a run that was killed.")
        yield supervisor
