"""Everything that a sweep has found so far, as files and as a text."""

from __future__ import annotations

import csv
import time
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from mario_agents.experiments.cell_result import write_json
from mario_agents.presets import Preset, label_of
from mario_agents.report.page import render
from mario_agents.sweep import record
from mario_agents.sweep.best_preset import best_of, preset_of_best, write_preset
from mario_agents.sweep.figures import Drawn, draw_sweep, importances_of
from mario_agents.sweep.optuna_study import storage_errors
from mario_agents.sweep.plan import SweepLayout, SweepPlan
from mario_agents.sweep.record import Trial, read_trials
from mario_agents.sweep.space import params_text
from mario_agents.sweep.table import as_text, cells, headings, ranked, summary
from mario_envkit.errors import OptionError
from mario_envkit.files import locked, replace_text

if TYPE_CHECKING:
    from optuna import Study

TEMPLATE = Path(__file__).parent / "page.html.j2"


class SweepResults(Struct, frozen=True):
    """What all trials have found so far; the content of ``results.json``.

    Attributes:
        plan: what is searched, and how.
        trials: those that have begun.
        best: name of the best one that is finished, or None.
        importances: how much each option mattered.
        invalid: draws whose options did not go together.
    """

    plan: SweepPlan
    trials: list[Trial]
    best: str | None
    importances: dict[str, float]
    invalid: int


def results_of(plan: SweepPlan, layout: SweepLayout, study: Study) -> SweepResults:
    """What is known by now.

    Raises:
        RunError: if the storage cannot be read.
    """
    # A look at the locks of trials must not get in the way of who is about to take one.
    with storage_errors(layout.storage), locked(layout.storage):
        trials = read_trials(study, plan, layout)
        invalid = sum(map(record.is_invalid, study.get_trials(deepcopy=False)))
        importances = importances_of(study)
    best = best_of(trials)
    return SweepResults(plan, trials, None if best is None else best.name, importances, invalid)


def publish(layout: SweepLayout, study: Study, results: SweepResults) -> str:
    """Write ``table.md``, ``results.json``, ``results.csv``, the figures, the page and the best
    trial as a preset; returns the table.

    Raises:
        OptionError: if they cannot be written.
    """
    plan, trials = results.plan, results.trials
    text = as_text(plan, trials, results.invalid)
    best = best_of(trials)
    preset = None if best is None else preset_of_best(plan, trials, best)
    try:
        replace_text(layout.path / "table.md", text)
        write_json(layout.path / "results.json", results)
        replace_text(layout.path / "results.csv", as_csv(plan, trials))
        if preset is not None:
            write_preset(layout.best, preset)
        drawn = draw_sweep(study, results.importances, layout.path)
        replace_text(layout.page, as_page(layout, results, preset, drawn))
    except OSError as error:
        raise OptionError(
            f"The results cannot be saved in {layout.path}: {error.strerror}."
        ) from error
    return text


def as_csv(plan: SweepPlan, trials: Sequence[Trial]) -> str:
    """A line for each trial, numbers not rounded."""
    names = ["name", *plan.space.names, "objective", "state", "share", "so_far", "steps"]
    names += ["seconds", "seed", "baseline", "error", "machine"]
    text = StringIO()
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    for trial in trials:
        own = {name: getattr(trial, name) for name in Trial.__struct_fields__ if name != "values"}
        writer.writerow({**own, **trial.values})
    return text.getvalue()


def as_page(
    layout: SweepLayout, results: SweepResults, preset: Preset | None, drawn: Sequence[Drawn]
) -> str:
    """The sweep as one HTML file."""
    plan, trials = results.plan, results.trials
    best = best_of(trials)
    method = as_text(plan, trials, results.invalid).rsplit("\n\n", 1)[-1].splitlines()
    return render(
        TEMPLATE,
        title=f"{label_of(plan.preset)}, {', '.join(plan.space.names)}",
        made=time.strftime("%Y-%m-%d %H:%M"),
        summary=summary(trials, results.invalid),
        best=best,
        best_objective="" if best is None else f"{best.objective:.3f}",
        best_values="" if best is None else params_text(best.values),
        preset=preset,
        file=layout.best,
        headings=headings(plan),
        lines=[cells(plan, trial) for trial in ranked(trials)],
        failed=[trial for trial in trials if trial.error],
        figures=drawn,
        method=method,
        runs=layout.path / "runs",
    )
