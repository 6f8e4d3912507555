"""What Optuna's storage says of the trials, in the words of a sweep.

A trial whose command was stopped or killed is tried again as another one of Optuna's, with the same
options, seed and name: here the two are one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from mario_agents.experiments.cell_result import progress_of
from mario_agents.run.lock import sole
from mario_agents.sweep.plan import SweepLayout, SweepPlan
from mario_envkit.errors import RunBusy

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

State = Literal["finished", "pruned", "failed", "running", "cut off"]
NAME, SEED, BASELINE = "name", "seed", "baseline"
STEPS, SECONDS, SHARE, ERROR = "steps", "seconds", "share", "error"
MACHINE = "machine"
INVALID = "invalid"
"""Attributes of trials in the storage; the last one is a sentence on options that do not go
together, which took no run."""
RETRIED = "failed_trial"
"""Optuna's own attribute for the number of the trial that is tried again."""


class Trial(Struct, frozen=True):
    """A trial.

    Attributes:
        name: of its directories.
        state: "cut off" was running when its command was stopped or killed, and will be tried
            again.
        values: of the options that are searched.
        seed: of its run.
        baseline: whether the values are those of the preset.
        objective: of one that is finished.
        so_far: of one that is not: the last that is known.
        share: of its budget that had been used up when it was pruned.
        steps: agent steps.
        seconds: of training.
        error: why it failed.
        machine: where it ran, and beside how many others, in words.
    """

    name: str
    state: State
    values: dict[str, Any]
    seed: int | None = None
    baseline: bool = False
    objective: float | None = None
    so_far: float | None = None
    share: float | None = None
    steps: int | None = None
    seconds: float | None = None
    error: str = ""
    machine: str = ""


def is_invalid(frozen: FrozenTrial) -> bool:
    """Whether its options did not go together."""
    return INVALID in frozen.user_attrs


def name_of(frozen: FrozenTrial) -> str | None:
    """Of the trial, and of the one that it tries again; None if nobody has begun either."""
    name = frozen.user_attrs.get(NAME)
    return None if name is None else str(name)


def retried(trials: Iterable[FrozenTrial]) -> set[int]:
    """Numbers of trials that are tried again."""
    return {int(trial.system_attrs[RETRIED]) for trial in trials if RETRIED in trial.system_attrs}


def counted(trials: Iterable[FrozenTrial]) -> int:
    """How many have come to a result, were pruned, or are being run.

    One that failed is replaced by another, and so are options that do not go together.
    """
    from optuna.trial import TrialState

    counting = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
    return sum(trial.state in counting and not is_invalid(trial) for trial in trials)


def ended(trials: Iterable[FrozenTrial]) -> int:
    """How many have come to a result, or were pruned."""
    from optuna.trial import TrialState

    ending = (TrialState.COMPLETE, TrialState.PRUNED)
    return sum(trial.state in ending and not is_invalid(trial) for trial in trials)


def is_held(layout: SweepLayout, name: str | None) -> bool:
    """Whether some command is running the trial of this name. Not to be asked about a trial of this
    very process: it would let go of its lock."""
    if name is None:
        return False
    path = layout.lock(name)
    if not path.exists():
        return False
    try:
        with sole(path, "{}"):
            return False
    except RunBusy:
        return True


def read_trials(study: Study, plan: SweepPlan, layout: SweepLayout) -> list[Trial]:
    """All trials that were begun, in the order in which they were."""
    from optuna.trial import TrialState

    frozen = study.get_trials(deepcopy=False)
    again = retried(frozen)
    states: dict[TrialState, State] = {
        TrialState.COMPLETE: "finished",
        TrialState.PRUNED: "pruned",
        TrialState.FAIL: "failed",
        TrialState.WAITING: "cut off",
    }
    found = []
    for trial in frozen:
        name = name_of(trial)
        if name is not None and trial.number not in again:
            running: State = "running" if is_held(layout, name) else "cut off"
            found.append(_trial(trial, name, states.get(trial.state, running), plan, layout))
    return sorted(found, key=lambda trial: (len(trial.name), trial.name))


def _trial(
    frozen: FrozenTrial, name: str, state: State, plan: SweepPlan, layout: SweepLayout
) -> Trial:
    attributes = frozen.user_attrs
    steps, seconds = attributes.get(STEPS), attributes.get(SECONDS)
    if state in ("running", "cut off"):
        steps, seconds = progress_of(layout.cell(name).run_files)
    last = frozen.last_step
    return Trial(
        name=name,
        state=state,
        values=plan.space.values(frozen.params),
        seed=attributes.get(SEED),
        baseline=bool(attributes.get(BASELINE)),
        objective=frozen.value if state == "finished" else None,
        so_far=None if last is None else frozen.intermediate_values[last],
        share=attributes.get(SHARE),
        steps=steps,
        seconds=seconds,
        error=str(attributes.get(ERROR, "")),
        machine=str(attributes.get(MACHINE, "")),
    )
