"""The curves of a bench: success while it trained, over its budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mario_agents.bench.plan import BenchPlan
from mario_agents.bench.table import snapshots_text
from mario_agents.experiments.cell_result import CellResult
from mario_agents.experiments.measures import Point, has_seconds, held
from mario_agents.report.figures import thousands
from mario_agents.report.panel import Line, draw_panel, save_figure

GRID = 401
ROWS = 8
"""Levels below one another; more than these stand side by side."""
FORMATS = ("svg", "png")
KINDS = {False: "greedy", True: "sticky"}


def draw_bench(plan: BenchPlan, results: Mapping[str, CellResult], folder: Path) -> list[Path]:
    """Draw a panel for each level, of success plain and sticky; unfinished runs as far as they got.

    A line is the median over the seeds, the veil goes from the lowest to the highest, and a thin
    line is one seed. Success holds from one evaluation to the next, and is 0 before the first.

    Returns:
        The files ``curves.svg`` and ``curves.png``; none if nothing was evaluated.

    Raises:
        OptionError: if they cannot be written.
    """
    from matplotlib.figure import Figure

    levels = list(dict.fromkeys(cell.level for cell in plan.cells))
    drawn = {level: _variants(plan, results, level) for level in levels}
    drawn = {level: variants for level, variants in drawn.items() if variants}
    if not drawn:
        return []
    beside = -(-len(drawn) // ROWS)
    rows = -(-len(drawn) // beside)
    figure = Figure(figsize=(9.2 * beside, 2.8 * rows + 0.4), layout="constrained")
    panels = figure.subplots(rows, 2 * beside, squeeze=False).reshape(-1, 2)
    for panel in panels[len(drawn) :].flat:
        panel.set_axis_off()
    names = list(dict.fromkeys(name for variants in drawn.values() for name in variants))
    for row, (level, variants) in zip(panels, drawn.items(), strict=False):
        for panel, sticky in zip(row, KINDS, strict=True):
            grid = np.linspace(0, _end(plan, level), GRID)
            lines = [
                _line(
                    name, names.index(name), seeds, grid, sticky=sticky, by_time=plan.budget.by_time
                )
                for name, seeds in variants.items()
            ]
            draw_panel(
                panel,
                lines,
                xlabel="seconds of training" if plan.budget.by_time else "agent steps",
                ylabel=f"{level}: success, {KINDS[sticky]}",
                xformat=thousands,
                legend=False,
            )
            panel.set_ylim(-0.03, 1.03)
    told = {
        label: handle
        for panel in panels.flat
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    figure.legend(told.values(), told, loc="outside upper center", ncols=2, frameon=False)
    paths = [folder / f"curves.{form}" for form in FORMATS]
    for path in paths:
        save_figure(figure, path)
    return paths


def _variants(
    plan: BenchPlan, results: Mapping[str, CellResult], level: str
) -> dict[str, list[tuple[Point, ...]]]:
    """Evaluations of all seeds, by the name of the variant."""
    several = len({cell.snapshots for cell in plan.cells}) > 1
    found: dict[str, list[tuple[Point, ...]]] = {}
    for cell in plan.cells:
        points = results[cell.name].points
        if cell.level == level and points and (has_seconds(points) or not plan.budget.by_time):
            snapshots = f", snapshots {snapshots_text(cell.snapshots)}" if several else ""
            found.setdefault(cell.preset + snapshots, []).append(points)
    return found


def _end(plan: BenchPlan, level: str) -> float:
    return max(plan.budget.horizon(cell.options) for cell in plan.cells if cell.level == level)


def _line(
    name: str,
    number: int,
    seeds: Sequence[tuple[Point, ...]],
    grid: np.ndarray[tuple[int], np.dtype[np.float64]],
    *,
    sticky: bool,
    by_time: bool,
) -> Line:
    values = np.stack([held(points, grid, sticky=sticky, by_time=by_time) for points in seeds])
    each = tuple(values) if len(values) > 1 else ()
    label = f"{name} ({len(values)} seeds)" if each else name
    middle = np.median(values, axis=0)
    return Line(label, grid, middle, values.min(axis=0), values.max(axis=0), number, each)
