"""All cells of a plan, until they are done or somebody stops them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console

from mario_agents.bench.layout import BenchLayout
from mario_agents.bench.plan import BenchPlan
from mario_agents.experiments.cell import Cell, Measuring
from mario_agents.experiments.cell_result import CellResult
from mario_agents.experiments.display import JobsDisplay, outcome_of
from mario_agents.experiments.job import Job, is_finished
from mario_agents.experiments.place import open_launcher
from mario_agents.experiments.process import Launch
from mario_agents.experiments.runner import run_jobs
from mario_agents.run.lock import sole
from mario_envkit.command_line import shell_words


def run_cells(plan: BenchPlan, layout: BenchLayout, console: Console | None = None) -> None:
    """Do all cells that are not finished; each failure is kept in its result, the others go on.

    Raises:
        RunError: if another bench is at work in this folder, a file of it is damaged, or the disk
            refuses.
        KeyboardInterrupt: after the running cells have been stopped, if Ctrl-C or SIGTERM asked.
    """
    again = shell_words("mario-agents", "bench", "learn", "--out", layout.path)
    busy = f"Another bench, {{}}, is at work in {layout.path}; stop that one first."
    with sole(layout.lock, busy):
        todo = deque(cell for cell in plan.cells if not is_finished(layout.cell(cell.name)))
        total = len(plan.cells)
        with (
            open_launcher(plan.place, layout.path, plan.jobs) as launcher,
            JobsDisplay(
                total, total - len(todo), budget=plan.budget, jobs=plan.jobs, console=console
            ) as display,
        ):
            run_jobs(_Cells(plan, layout, display, todo), plan.jobs, again, launcher)


@dataclass
class _Cells:
    """The cells of a bench that wait."""

    plan: BenchPlan
    layout: BenchLayout
    display: JobsDisplay
    todo: deque[Cell]

    @property
    def waiting(self) -> int:
        """See :class:`~mario_agents.experiments.runner.Work`."""
        return len(self.todo)

    def begin(self, launch: Launch) -> Job:
        """Begin the next cell."""
        cell = self.todo.popleft()
        measuring = Measuring(self.plan.weights, self.plan.episodes)
        job = Job(cell, self.layout.cell(cell.name), measuring, launch)
        self.display.began(job)
        return job

    def look(self, running: Mapping[int, Job]) -> None:
        """Show how they go on."""
        self.display.look(running, self.waiting)

    def ended(self, job: Job, result: CellResult) -> None:
        """Show what came of one."""
        self.display.ended(job, outcome_of(result), time.monotonic() - job.began)

    def lost(self, job: Job) -> None:
        """Put a cell back whose machine is gone."""
        self.todo.appendleft(job.cell)
        self.display.lost(job)
