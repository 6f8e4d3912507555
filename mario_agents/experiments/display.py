"""What a person sees while jobs run: bars in a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from mario_agents.experiments.cell import Budget
from mario_agents.experiments.cell_result import CellResult, evaluations_of, progress_of
from mario_agents.experiments.job import Job
from mario_agents.telemetry.progress import error_console

LOOK_SECONDS = 2.0
"""Seconds between two looks at the files of the runs."""


def share_done(
    budget: Budget, *, total_steps: float, steps: int | None, seconds: float | None
) -> float:
    """How much of its budget a run has used up, from 0 to 1: whichever budget ends first counts."""
    shares = [0.0]
    if steps is not None and total_steps > 0:
        shares.append(steps / total_steps)
    if budget.minutes is not None and seconds is not None:
        shares.append(seconds / (60 * budget.minutes))
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


class JobsDisplay:
    """Shows jobs; use it as a context manager.

    Args:
        total: how many cells there are.
        done: how many of them were finished before.
        budget: of each.
        jobs: how many run at once.
        noun: what they are called.
        console: where to; default is the standard error stream.
    """

    def __init__(
        self,
        total: int,
        done: int,
        *,
        budget: Budget,
        jobs: int,
        noun: str = "cells",
        console: Console | None = None,
    ) -> None:
        self._total, self._done = total, done
        self._budget, self._jobs, self._noun = budget, jobs, noun
        self._console = console or error_console()
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
        self._overall = self._bars.add_task("", total=total, completed=done)

    def __enter__(self) -> JobsDisplay:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def began(self, job: Job, about: str = "") -> None:
        """A cell has begun; ``about`` says more of it than its name."""
        self._tasks[job.cell.name] = self._bars.add_task(job.cell.name, total=100)
        self.line(f"{job.cell.name}: begins{about and f' with {about}'}", keep=False)

    def ended(self, job: Job, outcome: str, seconds: float, done: int | None = None) -> None:
        """A cell has ended, after ``seconds``.

        Args:
            job: its job.
            outcome: what came of it, in words.
            seconds: how long it took.
            done: how many have ended, if others than this display's jobs count.
        """
        self._bars.remove_task(self._tasks.pop(job.cell.name))
        self._done = self._done + 1 if done is None else done
        self._took.append(seconds)
        left = seconds_left(max(self._total - self._done, 0), [], self._jobs, self._usual())
        more = "" if not left else f"; about {_duration(left)} left"
        self.line(f"{job.cell.name}: {outcome} ({self._done}/{self._total}{more})")

    def lost(self, job: Job) -> None:
        """The machine that worked on a cell is gone, and the cell will begin again."""
        self._bars.remove_task(self._tasks.pop(job.cell.name))
        self.line(f"{job.cell.name}: {job.node or 'its node'} is gone; it will begin again")

    def look(self, running: Mapping[int, Job], waiting: int) -> None:
        """Bring the bars up to date, now and then."""
        now = time.monotonic()
        if now < self._next_look or not self._console.is_terminal:
            return
        self._next_look = now + LOOK_SECONDS
        shares = [self._look_at(job) for job in running.values()]
        left = seconds_left(waiting, shares, self._jobs, self._usual())
        words = self._noun if left is None else f"{self._noun}, about {_duration(left)} left"
        self._bars.update(self._overall, completed=self._done, description=words)

    def _look_at(self, job: Job) -> float:
        steps, seconds = progress_of(job.files.run_files)
        total = float(job.cell.options.get("total_steps", 0))
        share = share_done(
            self._budget, total_steps=total, steps=steps, seconds=job.training_seconds or seconds
        )
        words = [job.cell.name, job.doing if job.node is not None else "waiting for a place"]
        words += [f"on {job.node}"] if job.node else []
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
        return None if self._budget.minutes is None else 60 * self._budget.minutes

    def line(self, text: str, *, keep: bool = True) -> None:
        """Print a line; one that is not to be kept only where there are no bars."""
        if keep or not self._console.is_terminal:
            self._bars.console.print(text, markup=False, highlight=False, soft_wrap=True)


def outcome_of(result: CellResult) -> str:
    """What came of a cell, in words."""
    if result.status == "failed":
        return f"failed: {result.error}"
    words = [] if result.steps is None else [f"{result.steps:,} steps"]
    for weights, conditions in result.standard.items():
        rates = [f"{name} {success.rate:.0%}" for name, success in conditions.items()]
        words.append(f"{weights}: {', '.join(rates)}")
    return "; ".join(words) or "finished"


def _duration(seconds: float) -> str:
    minutes = max(round(seconds / 60), 1)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
