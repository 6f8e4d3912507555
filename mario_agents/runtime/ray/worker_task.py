"""A worker in an actor: the main of a process, with a link to the coordinator's actor."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mario_agents.run import RunDir
from mario_agents.runtime.attached import AttachedRun, RunPlan, Ways
from mario_agents.runtime.experience import StepChannels
from mario_agents.runtime.ray.link import (
    Link,
    RemoteBoard,
    RemoteChannel,
    RemoteNumbers,
    RemotePool,
)
from mario_agents.runtime.ray.messages import Sizes
from mario_agents.runtime.ray.run_files import RunPlace, take_part_at
from mario_agents.runtime.shm.step_rings import step_slots
from mario_agents.runtime.signals import ignore_stop_signals
from mario_agents.runtime.step_layout import StepLayout
from mario_agents.runtime.supervisor import SLOTS
from mario_agents.runtime.weights import CopiedWeights
from mario_agents.runtime.worker_main import work
from mario_envkit.closing import close_at_end


@dataclass(frozen=True)
class WorkerTask:
    """What an actor is to do as a worker.

    Attributes:
        plan: of the run.
        sizes, layout: as of the coordinator's actor.
        place: of the run directory.
        coordinator: handle of that actor.
        number: of the worker.
        generation: how many processes were this worker before.
        workers: that the run has, or ever had.
    """

    plan: RunPlan
    sizes: Sizes
    layout: StepLayout | None
    place: RunPlace
    coordinator: Any
    number: int
    generation: int
    workers: int

    def run(self) -> str | None:
        """Work to the end of the run: None, or a sentence about what ended it before."""
        if threading.current_thread() is threading.main_thread():
            ignore_stop_signals()
        links: list[Link] = []

        def attach(run: RunDir, settle: Callable[[], object]) -> AttachedRun:
            links.append(self._link())
            ways = self._ways(links[0])
            source = f"worker_{self.number}"
            return AttachedRun(self.plan, ways, run, source, self.generation, settle)

        def main(attached: AttachedRun) -> None:
            with close_at_end(links[0]):
                work(attached, self.number, self.generation)

        return take_part_at(self.place, f"worker_{self.number}", attach, main)

    def _link(self) -> Link:
        ahead = self.plan.config().rounds_ahead
        slots = SLOTS if self.layout is None else step_slots(self.layout, ahead)
        return Link(self.coordinator, self.number, self.generation, slots)

    def _ways(self, link: Link) -> Ways:
        config, pool, steps = self.plan.config(), None, None
        if self.layout is None:
            pool = RemotePool(link, config.workers, self.sizes.gradients, config.gradient_dtype)
        else:
            steps = StepChannels(self.layout, {self.number: RemoteChannel(link)})
        board = RemoteBoard(link, self.number, self.workers)
        return Ways(pool, steps, CopiedWeights(RemoteNumbers(link)), board)
