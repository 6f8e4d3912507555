"""Jobs, so many at once, until there is no more work or somebody stops them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from mario_agents.experiments.cell_result import CellResult
from mario_agents.experiments.job import Job
from mario_agents.experiments.process import Launch, Launcher, on_this_machine
from mario_agents.runtime.signals import StopRequest
from mario_envkit.closing import close_at_end
from mario_envkit.command_line import in_words
from mario_envkit.errors import RunError

NAP_SECONDS = 0.2
MOST_LOSSES = 5
"""A job that has lost so many machines may be what they die of: for example of its memory."""


class Work(Protocol):
    """What there is to do, and who wants to know how it goes."""

    @property
    def waiting(self) -> int:
        """Cells that have not begun."""

    def begin(self, launch: Launch) -> Job | None:
        """Begin the next one; None if there is none after all."""

    def look(self, running: Mapping[int, Job]) -> None:
        """Called several times a second with the jobs that run; may give them up."""

    def ended(self, job: Job, result: CellResult) -> None:
        """A job has come to its end."""

    def lost(self, job: Job) -> None:
        """The machine that worked on a job is gone; its cell waits again."""


def run_jobs(work: Work, jobs: int, again: str, launcher: Launcher = on_this_machine) -> None:
    """Do all work, at most ``jobs`` cells at once.

    Args:
        work: what there is to do.
        jobs: how many run at once.
        again: the command that goes on, for people.
        launcher: where their processes run; by default here, each on its share of the cores.

    Raises:
        RunError: if a file is damaged, or the disk refuses.
        KeyboardInterrupt: after the running jobs have been stopped, if Ctrl-C or SIGTERM asked.
    """
    with StopRequest() as stop:
        with close_at_end(_RunningJobs(work, jobs, launcher)) as running:
            try:
                while running.busy and not stop.requested:
                    running.go_on()
                    time.sleep(NAP_SECONDS)
            except OSError as error:
                raise RunError(
                    f"The runs had to stop. {in_words(error)} Go on when that is mended, with: "
                    f"{again}"
                ) from error
        if stop.requested and running.busy:
            raise type(stop.exception())(
                f"Runs that were still training will start again. Continue with: {again}"
            )


@dataclass
class _RunningJobs:
    """The jobs that run, each in its slot."""

    work: Work
    slots: int
    launcher: Launcher
    jobs: dict[int, Job] = field(default_factory=dict)
    losses: Counter[str] = field(default_factory=Counter)

    @property
    def busy(self) -> bool:
        return bool(self.jobs or self.work.waiting)

    def go_on(self) -> None:
        """Begin cells where there is room, and see what the others do."""
        for slot in range(self.slots):
            if slot not in self.jobs and self.work.waiting:
                job = self.work.begin(self.launcher(slot, self.slots))
                if job is not None:
                    self.jobs[slot] = job
        for slot, job in list(self.jobs.items()):
            result = job.poll()
            if lost := job.lost:
                result = self._lose(job)
            if lost or result is not None:
                del self.jobs[slot]
            if result is not None:
                self.work.ended(job, result)
        self.work.look(self.jobs)

    def _lose(self, job: Job) -> CellResult | None:
        """Let a job whose machine is gone begin again; its result if that was too often."""
        self.losses[job.cell.name] += 1
        if self.losses[job.cell.name] >= MOST_LOSSES:
            return job.fail(f"{MOST_LOSSES} machines were lost while they worked on it.")
        job.close()
        self.work.lost(job)
        return None

    def close(self) -> None:
        """Stop what is running: first ask all, then wait for them."""
        for job in self.jobs.values():
            job.stop()
        for job in self.jobs.values():
            job.close()
