"""The best trial as a preset file, which ``train --preset`` and ``bench learn --presets`` take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from mario_agents.presets import Preset, label_of
from mario_agents.sweep.plan import SweepPlan
from mario_agents.sweep.record import Trial
from mario_agents.sweep.space import params_text
from mario_agents.sweep.table import objective_text
from mario_envkit.files import replace_text


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """The finished trial with the largest objective; the first of equals."""
    finished = [trial for trial in trials if trial.objective is not None]
    return max(finished, key=lambda trial: trial.objective or 0.0, default=None)


def preset_of_best(plan: SweepPlan, trials: Sequence[Trial], best: Trial) -> Preset:
    """The best trial as a preset: the options that it began with, those found, and what is known.

    A single run is what is known, and it is the luckiest of many; the text says so.
    """
    options = {**plan.preset.options, **best.values}
    if plan.steps is not None:
        options["total_steps"] = plan.steps  # schedules span them
    name = f"{plan.preset.name}-sweep" if plan.preset.name else "sweep"
    around = label_of(plan.preset)
    searched = ", ".join(plan.space.names)
    return Preset(
        plan.preset.trainer,
        name,
        f"{around} with other values of {searched}, as mario-agents sweep found them.",
        _measured(plan, trials, best),
        options,
    )


def _measured(plan: SweepPlan, trials: Sequence[Trial], best: Trial) -> str:
    finished = [trial for trial in trials if trial.objective is not None]
    pruned = sum(trial.state == "pruned" for trial in trials)
    level = {**plan.preset.options, **best.values}.get("level", "1-1")
    words = [
        f"{level}, one run: seed {best.seed}, {best.machine}; the best of {len(finished)} whole "
        f"trials of {plan.budget}, {pruned} more pruned. {objective_text(plan)}: "
        f"{best.objective or 0.0:.3f}"
    ]
    baseline = next((trial for trial in trials if trial.baseline), None)
    if best.baseline:
        words.append("these are the preset's own values")
    elif baseline is not None and baseline.objective is not None:
        own = params_text(baseline.values)
        words.append(f"the preset's own values ({own}), one run too, had {baseline.objective:.3f}")
    elif baseline is not None and baseline.state == "pruned":
        words.append("the run with the preset's own values was pruned")
    text = "; ".join(words)
    return (
        f"{text}. The best of many single runs is in part the luckiest: compare it with "
        f"{label_of(plan.preset)} on several seeds, with mario-agents bench learn."
    )


def write_preset(path: Path, preset: Preset) -> None:
    """Write a preset with the keys of those that come with mario-envkit.

    Raises:
        OSError: if the disk refuses.
    """
    keys = ("trainer", "name", "description", "measured", "options")
    values = {key: getattr(preset, key) for key in keys}
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=100)
    replace_text(path, text)
