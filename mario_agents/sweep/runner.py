"""A sweep from its plan to its results."""

from __future__ import annotations

from rich.console import Console

from mario_agents.experiments.display import JobsDisplay
from mario_agents.experiments.place import open_launcher
from mario_agents.experiments.runner import run_jobs
from mario_agents.sweep import record
from mario_agents.sweep.optuna_study import open_study, storage_errors
from mario_agents.sweep.plan import SweepLayout, SweepPlan
from mario_agents.sweep.trials import Trials
from mario_envkit.closing import close_at_end
from mario_envkit.command_line import shell_words


def run_trials(plan: SweepPlan, layout: SweepLayout, console: Console | None = None) -> None:
    """Do the trials that are missing; other commands may do some of them at the same time.

    Raises:
        RunError: if the storage or another file is damaged, the disk refuses, or trial after trial
            fails.
        KeyboardInterrupt: after the running trials have been stopped, if Ctrl-C or SIGTERM asked.
    """
    study = open_study(layout.storage)
    with storage_errors(layout.storage):
        done = record.ended(study.get_trials(deepcopy=False))
    again = shell_words("mario-agents", "sweep", "--out", layout.path)
    with (
        open_launcher(plan.place, layout.path, plan.jobs) as launcher,
        JobsDisplay(
            plan.trials, done, budget=plan.budget, jobs=plan.jobs, noun="trials", console=console
        ) as display,
        close_at_end(Trials(plan, layout, study, display)) as trials,
    ):
        run_jobs(trials, plan.jobs, again, launcher)
