"""What a person sees while a bench runs: bars in a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from mario_agents.bench.cell_result import CellResult, evaluations_of, progress_of
from mario_agents.bench.job import Job
from mario_agents.bench.plan import BenchPlan

LOOK_SECONDS = 2.0
"""Seconds between two looks at the files of the runs."""


def share_done(
    plan: BenchPlan, *, total_steps: float, steps: int | None, seconds: float | None
) -> float:
    """How much of its budget a run has used up, from 0 to 1: whichever budget ends first counts."""
    shares = [0.0]
    if steps is not None and total_steps > 0:
        shares.append(steps / total_steps)
    if plan.minutes is not None and seconds is not None:
        shares.append(seconds / (60 * plan.minutes))
    return min(max(shares), 1.0)


def seconds_left(
    waiting: int, running: Sequence[float], jobs: int, cell_seconds: float | None
) -> float | None:
    """Estimated time until all cells are done.

    Args:
        waiting: cells that have not begun.
        running: share done of each cell that is running.
        jobs: cells that run at once.
        cell_seconds: how long a cell takes; None if nothing is known.
    """
    if cell_seconds is None:
        return None
    return cell_seconds * (waiting + sum(1 - share for share in running)) / jobs


class BenchDisplay:
    """Shows a bench; use it as a context manager.

    Args:
        plan: the bench.
        done: how many of its cells were finished before.
        console: where to; default is the standard error stream.
    """

    def __init__(self, plan: BenchPlan, done: int, console: Console | None = None) -> None:
        self._plan, self._done = plan, done
        self._console = console or Console(stderr=True)
        self._next_look = 0.0
        self._took: list[float] = []
        self._tasks: dict[str, TaskID] = {}
        self._bars = Progress(
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.description}", markup=False),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._overall = self._bars.add_task("", total=len(plan.cells), completed=done)

    def __enter__(self) -> BenchDisplay:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def began(self, job: Job) -> None:
        """A cell has begun."""
        self._tasks[job.cell.name] = self._bars.add_task(job.cell.name, total=100)
        self._line(f"{job.cell.name}: begins")

    def ended(self, job: Job, result: CellResult, seconds: float) -> None:
        """A cell has ended, after ``seconds``."""
        self._bars.remove_task(self._tasks.pop(job.cell.name))
        self._done += 1
        self._took.append(seconds)
        left = seconds_left(len(self._plan.cells) - self._done, [], self._plan.jobs, self._usual())
        words = f"failed: {result.error}" if result.status == "failed" else _in_words(result)
        more = "" if not left else f"; about {_duration(left)} left"
        self._line(
            f"{result.name}: {words} ({self._done}/{len(self._plan.cells)}{more})", keep=True
        )

    def look(self, running: Mapping[int, Job], waiting: int) -> None:
        """Bring the bars up to date, now and then."""
        now = time.monotonic()
        if now < self._next_look or not self._console.is_terminal:
            return
        self._next_look = now + LOOK_SECONDS
        shares = [self._look_at(job) for job in running.values()]
        left = seconds_left(waiting, shares, self._plan.jobs, self._usual())
        words = "cells" if left is None else f"cells, about {_duration(left)} left"
        self._bars.update(self._overall, completed=self._done, description=words)

    def _look_at(self, job: Job) -> float:
        steps, seconds = progress_of(job.files)
        total = float(job.cell.options.get("total_steps", 0))
        share = share_done(
            self._plan, total_steps=total, steps=steps, seconds=job.training_seconds or seconds
        )
        words = [job.cell.name, job.doing]
        words += [f"{steps:,} steps"] if steps is not None else []
        points = evaluations_of(job.files)
        if points:
            words.append(f"cleared {points[-1].plain:.0%}, sticky {points[-1].sticky:.0%}")
        task = self._tasks[job.cell.name]
        self._bars.update(task, completed=round(100 * share), description="  ".join(words))
        return share

    def _usual(self) -> float | None:
        """Seconds that a cell takes: as those so far, else its training alone."""
        if self._took:
            return math.fsum(self._took) / len(self._took)
        return None if self._plan.minutes is None else 60 * self._plan.minutes

    def _line(self, text: str, *, keep: bool = False) -> None:
        if keep or not self._console.is_terminal:
            self._bars.console.print(text, markup=False, highlight=False, soft_wrap=True)


def _in_words(result: CellResult) -> str:
    words = [] if result.steps is None else [f"{result.steps:,} steps"]
    for weights, conditions in result.standard.items():
        rates = [f"{name} {success.rate:.0%}" for name, success in conditions.items()]
        words.append(f"{weights}: {', '.join(rates)}")
    return "; ".join(words) or "finished"


def _duration(seconds: float) -> str:
    minutes = max(round(seconds / 60), 1)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
