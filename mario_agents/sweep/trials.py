"""The trials of a sweep: chosen by Optuna, run as jobs, given up where they fall behind.

Several commands may work on one sweep. Whoever begins a trial holds its lock until it has ended;
the system drops a lock with its process. So a trial that is running by Optuna's storage, and whose
lock is free, was cut off: the next command that begins a trial tries it again, from its beginning,
since a run with a pause in it would have had another budget. What it had finished (its training,
its measurement) is not done twice.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mario_agents.experiments.cell import Cell, Measuring, Weights, make_cell
from mario_agents.experiments.cell_result import CellResult, evaluations_of
from mario_agents.experiments.display import JobsDisplay
from mario_agents.experiments.job import Job
from mario_agents.experiments.options import run_options
from mario_agents.experiments.process import Launch
from mario_agents.run.lock import sole
from mario_agents.sweep import record
from mario_agents.sweep.objective import SLOTS, objective_of, so_far
from mario_agents.sweep.optuna_study import make_pruner, make_sampler, storage_errors
from mario_agents.sweep.plan import SweepLayout, SweepPlan
from mario_agents.sweep.request import preset_parameters
from mario_agents.sweep.space import params_text
from mario_envkit.errors import ConfigError, OptionError, RunError
from mario_envkit.files import locked

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial, Trial

LOOK_SECONDS = 1.0
"""Between two looks at the evaluations of the trials that run."""
COUNT_SECONDS = 10.0
"""Between two looks at what other commands have done."""
MOST_FAILURES = 3
"""After so many trials in a row that failed, and one more for each that did not before, something
else is wrong than their options."""
MOST_INVALID = 500
"""Draws in a row whose options do not go together."""


@dataclass(slots=True)
class _Running:
    """A trial of this command: Optuna's, and its lock."""

    trial: Trial
    lock: ExitStack
    cell: Cell
    pruned_at: int | None = None
    reported: set[int] = field(default_factory=set)


class Trials:
    """The work of one command; see :class:`~mario_agents.experiments.runner.Work`.

    Args:
        plan: what is searched.
        layout: where.
        study: Optuna's.
        display: shows the trials.

    Attributes:
        waiting: trials that nobody has begun.
        done: those that have come to a result, or were pruned.
    """

    def __init__(
        self, plan: SweepPlan, layout: SweepLayout, study: Study, display: JobsDisplay
    ) -> None:
        self._plan, self._layout, self._study, self._display = plan, layout, study, display
        study.pruner = make_pruner(plan.pruner, startup=plan.startup)
        self._distributions = plan.space.distributions()
        self._running: dict[str, _Running] = {}
        self._machine = f"{plan.place.machine()}; trials at once: {plan.jobs}"
        self._failures = self._successes = 0
        self._error = ""
        """Of the trial that failed last."""
        self._next_look = self._next_count = 0.0
        self.waiting = self.done = 0
        with self._alone():
            self._begin_with_preset()
        self._recount()

    def begin(self, launch: Launch) -> Job | None:
        """Begin the next trial: one that was cut off, or one that Optuna chooses."""
        with self._alone():
            running = self._choose()
            self._count()
        if running is None:
            return None
        weights: tuple[Weights, ...] = ("best",) if self._plan.objective == "final" else ()
        measuring = Measuring(weights, self._plan.episodes)
        job = Job(running.cell, self._layout.cell(running.cell.name), measuring, launch)
        self._display.began(job, params_text(self._plan.space.values(running.trial.params)))
        return job

    def look(self, running: Mapping[int, Job]) -> None:
        """Tell Optuna of new evaluations; give up what it would not go on with."""
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + LOOK_SECONDS
            for job in running.values():
                self._report(job)
        if now >= self._next_count:
            self._recount()
        self._display.look(running, self.waiting)

    def ended(self, job: Job, result: CellResult) -> None:
        """Tell Optuna what came of a trial.

        Raises:
            RunError: if trial after trial fails.
        """
        running = self._running[job.cell.name]
        with storage_errors(self._layout.storage):
            outcome = self._tell(running, result)
        del self._running[job.cell.name]
        running.lock.close()
        self._recount()
        self._display.ended(job, outcome, time.monotonic() - job.began, self.done)
        if self._failures >= MOST_FAILURES + self._successes:
            raise RunError(
                f"The last {self._failures} trials failed, most recently with: {self._error} See "
                f"{job.files.log}, mend that, then go on."
            )

    def lost(self, job: Job) -> None:
        """Put back a trial whose machine is gone."""
        self._give_back(job.cell.name)
        self._display.lost(job)
        self._recount()

    def close(self) -> None:
        """Put back what was running, as what is to be tried again."""
        for name in list(self._running):
            self._give_back(name)

    # -- choosing ----------------------------------------------------------------------------

    def _begin_with_preset(self) -> None:
        """The first trial is that which others are to be better than, if the space has it."""
        if not self._study.get_trials(deepcopy=False):
            own = preset_parameters(self._plan)
            if own is not None:
                self._study.enqueue_trial(own, user_attrs={record.BASELINE: True})

    def _choose(self) -> _Running | None:
        """The next trial, with its lock."""
        self._put_back()
        for _ in range(MOST_INVALID):
            trials = self._study.get_trials(deepcopy=False)
            if record.counted(trials) >= self._plan.trials:
                return None
            self._study.sampler = make_sampler(
                self._plan.sampler,
                seed=self._plan.seed + len(trials),
                startup=self._plan.startup,
            )
            trial = self._study.ask(self._distributions)
            names = {record.name_of(frozen) for frozen in trials} - {None}
            name = trial.user_attrs.get(record.NAME, f"trial-{len(names):03d}")
            seed = trial.user_attrs.get(record.SEED, self._plan.seed + len(names))
            try:
                cell = self._cell(name, seed, trial.params)
            except ConfigError as error:
                self._dismiss(trial, str(error))
                continue
            for key, value in (
                (record.NAME, name), (record.SEED, seed), (record.MACHINE, self._machine)
            ):  # fmt: skip
                trial.set_user_attr(key, value)
            lock = ExitStack()
            self._layout.lock(name).parent.mkdir(exist_ok=True)
            lock.enter_context(sole(self._layout.lock(name), f"{name} is being run by {{}}."))
            running = self._running[name] = _Running(trial, lock, cell)
            return running
        raise OptionError(
            f"{MOST_INVALID} draws in a row had options that do not go together; search narrower "
            "ranges, or leave out one of the options."
        )

    def _cell(self, name: str, seed: int, parameters: Mapping[str, Any]) -> Cell:
        options = run_options(
            self._plan.preset,
            self._plan.space.values(parameters),
            self._plan.budget,
            seed=seed,
            threads=self._plan.place.threads(self._plan.jobs),
            source=name,
        )
        return make_cell(name, self._plan.preset, options)

    def _dismiss(self, trial: Trial, why: str) -> None:
        """Options that do not go together: for the sampler they are as bad as can be."""
        from optuna.trial import TrialState

        trial.set_user_attr(record.INVALID, why)
        self._study.tell(trial, state=TrialState.PRUNED)

    def _put_back(self) -> None:
        """Trials that were cut off wait to be run again, or are told what they had found."""
        from optuna.trial import TrialState

        for frozen in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            name = record.name_of(frozen)
            if name not in self._running and not record.is_held(self._layout, name):
                self._try_again(frozen)

    def _try_again(self, frozen: FrozenTrial) -> None:
        """Let a trial that was cut off be run again, as another one with all that it has.

        The other one comes first: should this command be killed in between, then it is there.
        """
        from optuna.trial import TrialState, create_trial

        if frozen.number not in record.retried(self._study.get_trials(deepcopy=False)):
            history = [*frozen.system_attrs.get("retry_history", []), frozen.number]
            attributes = {record.RETRIED: frozen.number, "retry_history": history}
            again = create_trial(
                state=TrialState.WAITING,
                params=frozen.params,
                distributions=frozen.distributions,
                user_attrs=frozen.user_attrs,
                system_attrs={**frozen.system_attrs, **attributes},
            )
            self._study.add_trial(again)
        self._study.tell(frozen.number, state=TrialState.FAIL, skip_if_finished=True)

    def _give_back(self, name: str) -> None:
        """Let a trial of this command be run again, by whichever."""
        running = self._running[name]
        with storage_errors(self._layout.storage), locked(self._layout.storage):
            self._try_again(self._frozen(running.trial.number))
        running.lock.close()
        del self._running[name]

    # -- what came of them -------------------------------------------------------------------

    def _report(self, job: Job) -> None:
        running = self._running[job.cell.name]
        if running.pruned_at is not None or job.doing != "training":
            return
        points = evaluations_of(job.files)
        found = so_far(points, job.cell, self._plan.budget, self._plan.objective)
        for slot in sorted(found.keys() - running.reported):
            running.reported.add(slot)
            with storage_errors(self._layout.storage):
                running.trial.report(found[slot], slot)
                if slot < SLOTS and running.trial.should_prune():
                    running.pruned_at = slot
                    job.give_up()
                    return

    def _tell(self, running: _Running, result: CellResult) -> str:
        """Tell Optuna, and say it in words."""
        from optuna.trial import TrialState

        trial = running.trial
        trial.set_user_attr(record.STEPS, result.steps)
        trial.set_user_attr(record.SECONDS, result.seconds)
        if running.pruned_at is not None:
            share = running.pruned_at / SLOTS
            trial.set_user_attr(record.SHARE, share)
            self._study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)
            self._went_well()
            return f"pruned at {share:.0%} of its budget"
        plan, error = self._plan, result.error
        value = objective_of(result, running.cell, plan.budget, plan.objective)
        if result.status == "finished" and value is None:
            error = (
                "It left no evaluations: give it a larger budget than its eval_interval, or "
                "--objective final."
            )
        if error or value is None:
            trial.set_user_attr(record.ERROR, error)
            self._study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
            self._failures, self._error = self._failures + 1, error
            return f"failed: {error}"
        self._study.tell(trial, value, skip_if_finished=True)
        self._went_well()
        best = self._study.best_trial
        return f"{value:.3f} (best {best.value:.3f}, {record.name_of(best)})"

    def _went_well(self) -> None:
        self._failures, self._successes = 0, self._successes + 1

    # -- storage -----------------------------------------------------------------------------

    def _frozen(self, number: int) -> FrozenTrial:
        return self._study.get_trials(deepcopy=False)[number]

    def _recount(self) -> None:
        """See what other commands have done, or have left when they were killed."""
        self._next_count = time.monotonic() + COUNT_SECONDS
        with self._alone():
            self._put_back()
            self._count()

    def _count(self) -> None:
        trials = self._study.get_trials(deepcopy=False)
        self.waiting = max(self._plan.trials - record.counted(trials), 0)
        self.done = record.ended(trials)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Meanwhile no other command chooses a trial."""
        with storage_errors(self._layout.storage), locked(self._layout.storage):
            yield
