"""All cells of a plan, so many at once, until they are done or somebody stops them."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

from rich.console import Console

from mario_agents.bench.display import BenchDisplay
from mario_agents.bench.job import Job, is_finished
from mario_agents.bench.layout import BenchLayout
from mario_agents.bench.plan import BenchPlan, Cell
from mario_agents.run.lock import sole
from mario_agents.runtime.signals import StopRequest
from mario_envkit.closing import close_at_end
from mario_envkit.command_line import in_words, shell_words
from mario_envkit.errors import RunError

NAP_SECONDS = 0.2


def run_cells(plan: BenchPlan, layout: BenchLayout, console: Console | None = None) -> None:
    """Do all cells that are not finished; each failure is kept in its result, the others go on.

    Raises:
        RunError: if another bench is at work in this folder, a file of it is damaged, or the disk
            refuses.
        KeyboardInterrupt: after the running cells have been stopped, if Ctrl-C or SIGTERM asked.
    """
    again = shell_words("mario-agents", "bench", "learn", "--out", layout.path)
    busy = f"Another bench, {{}}, is at work in {layout.path}; stop that one first."
    with sole(layout.lock, busy), StopRequest() as stop:
        todo = deque(cell for cell in plan.cells if not is_finished(layout.cell(cell.name)))
        with (
            BenchDisplay(plan, len(plan.cells) - len(todo), console) as display,
            close_at_end(_RunningJobs(plan, layout, display, todo)) as jobs,
        ):
            try:
                while jobs.busy and not stop.requested:
                    jobs.go_on()
                    time.sleep(NAP_SECONDS)
            except OSError as error:
                raise RunError(
                    f"The bench had to stop. {in_words(error)} Go on when that is mended, with: "
                    f"{again}"
                ) from error
    if stop.requested and jobs.busy:
        raise type(stop.exception())(
            f"Runs that were still training will start again. Continue with: {again}"
        )


@dataclass
class _RunningJobs:
    """The jobs of a bench: those that run, each in its slot, and the cells that wait."""

    plan: BenchPlan
    layout: BenchLayout
    display: BenchDisplay
    todo: deque[Cell]
    running: dict[int, Job] = field(default_factory=dict)
    began: dict[str, float] = field(default_factory=dict)

    @property
    def busy(self) -> bool:
        return bool(self.todo or self.running)

    def go_on(self) -> None:
        """Begin cells where there is room, and see what the others do."""
        for slot in range(self.plan.jobs):
            if slot not in self.running and self.todo:
                cell = self.todo.popleft()
                job = Job(cell, self.plan, self.layout.cell(cell.name), slot)
                self.running[slot], self.began[cell.name] = job, time.monotonic()
                self.display.began(job)
        for slot, job in list(self.running.items()):
            result = job.poll()
            if result is not None:
                del self.running[slot]
                took = time.monotonic() - self.began[job.cell.name]
                self.display.ended(job, result, took)
        self.display.look(self.running, len(self.todo))

    def close(self) -> None:
        """Stop what is running: first ask all, then wait for them."""
        for job in self.running.values():
            job.stop()
        for job in self.running.values():
            job.close()
