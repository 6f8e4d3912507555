"""A sweep as a text: Markdown that can be read as it is."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from mario_agents.experiments.markdown import grid
from mario_agents.presets import label_of
from mario_agents.sweep.plan import SweepPlan
from mario_agents.sweep.record import State, Trial
from mario_agents.sweep.space import rounded

UNKNOWN = "-"
ORDER: tuple[State, ...] = ("finished", "pruned", "failed", "running", "cut off")


def objective_text(plan: SweepPlan) -> str:
    """What is to be as large as possible, in words."""
    if plan.objective == "area":
        return "Area under the curves of success, plain and sticky, over the budget"
    return f"Mean success of the standard's conditions, {plan.episodes} episodes each"


def headings(plan: SweepPlan) -> list[str]:
    """Columns of the table."""
    return ["trial", *plan.space.names, "objective", "state", "steps", "seconds", "seed"]


def cells(plan: SweepPlan, trial: Trial) -> list[str]:
    """A line of the table."""
    values = [rounded(trial.values[name]) for name in plan.space.names]
    known = trial.objective if trial.objective is not None else trial.so_far
    objective = UNKNOWN if known is None else f"{known:.3f}"
    if trial.objective is None and known is not None:
        objective = f"({objective})"
    state = trial.state
    words = f"{state} at {trial.share:.0%}" if trial.share is not None else state
    return [
        trial.name + (" (preset)" if trial.baseline else ""),
        *values,
        objective,
        words,
        UNKNOWN if trial.steps is None else f"{trial.steps:,}",
        UNKNOWN if trial.seconds is None else f"{trial.seconds:,.1f}",
        UNKNOWN if trial.seed is None else str(trial.seed),
    ]


def ranked(trials: Sequence[Trial]) -> list[Trial]:
    """The best first, then those that were pruned, and so on."""
    return sorted(
        trials,
        key=lambda trial: (
            ORDER.index(trial.state),
            -(trial.objective if trial.objective is not None else -math.inf),
            -(trial.share or 0.0),
            trial.name,
        ),
    )


def summary(trials: Sequence[Trial], invalid: int) -> str:
    """How many trials there are in each state."""
    counts = Counter(trial.state for trial in trials)
    words = [f"{counts[state]} {state}" for state in ORDER if counts[state]]
    text = ", ".join(words) or "none yet"
    if invalid:
        text += f"; {invalid} more draws had options that do not go together, and took no run"
    return text


def as_text(plan: SweepPlan, trials: Sequence[Trial], invalid: int) -> str:
    """Everything: the trials, what failed, how it was measured."""
    lines = [cells(plan, trial) for trial in ranked(trials)]
    failed = [f"- {trial.name}: {trial.error}" for trial in trials if trial.error]
    parts = [
        f"Search around {label_of(plan.preset)}, {plan.budget}: {summary(trials, invalid)}",
        grid(headings(plan), lines),
    ]
    if failed:
        parts.append("Failed:\n\n" + "\n".join(failed))
    machines = dict.fromkeys(trial.machine for trial in trials if trial.machine)
    set_to = ", ".join(f"{name} {rounded(value)}" for name, value in plan.overrides.items())
    parts.append(
        f"Objective: {objective_text(plan).lower()}; in brackets what a trial had that is not "
        "finished.\n"
        f"Searched: {' '.join(plan.space.words)}{set_to and f'; set: {set_to}'}.\n"
        f"Chosen by {plan.sampler}, pruned by {plan.pruner}, after {plan.startup} trials.\n"
        f"Machine: {'; '.join(machines) or UNKNOWN}."
    )
    return "\n\n".join(parts) + "\n"
