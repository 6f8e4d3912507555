"""Learning curves for papers: mean and spread over seeds, as PNG, PDF or SVG."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from mario_agents.report.figures import thousands
from mario_agents.report.panel import FORMATS, Line, draw_panel, save_figure
from mario_agents.report.rundata import RunData
from mario_agents.report.tables import Curve, mean_and_spread
from mario_envkit.arguments import most_similar
from mario_envkit.errors import OptionError

ALIASES = {"return": "reward", "x": "episode_x", "length": "episode_length"}
"""What people call some metrics."""
NOT_A_DIFFERENCE = {"seed", "wandb", "ui", "device", "actor_device", "max_minutes", "torch_threads"}
"""Options in which runs of one group may differ: they should not change what is learned."""


@dataclass(frozen=True)
class Group:
    """Runs of one configuration, which differ in their seed only."""

    name: str
    runs: tuple[RunData, ...]


def grouped(runs: Sequence[RunData]) -> list[Group]:
    """Runs by configuration, in the order given; a group is named after what sets it apart."""
    groups: dict[str, list[RunData]] = {}
    for run in runs:
        options = {k: v for k, v in run.options.items() if k not in NOT_A_DIFFERENCE}
        # Without a configuration nothing is known to be equal.
        key = json.dumps([run.trainer, options], sort_keys=True) if run.trainer else str(run.path)
        groups.setdefault(key, []).append(run)
    return [Group(_name(members, groups), tuple(members)) for members in groups.values()]


def draw_curves(runs: Sequence[RunData], metrics: Sequence[str], out: Path) -> None:
    """Draw metrics over agent steps, one panel each.

    A line is the mean of the runs of one configuration, over the steps that all of them have; the
    veil is a standard deviation over the runs.

    Args:
        runs: one or more.
        metrics: columns of the metrics files, or one of :data:`ALIASES`.
        out: the figure: PNG, PDF or SVG.

    Raises:
        OptionError: for a metric that no run has, or a file that cannot be written.
    """
    from matplotlib.figure import Figure

    if out.suffix.lower() not in FORMATS:
        raise OptionError(f"The figure {out} must have a name that ends in {', '.join(FORMATS)}.")
    names = [_metric(name, runs) for name in metrics]
    if not names:
        raise OptionError("--metric is empty; give the name of a metric, such as return.")
    groups = grouped(runs)
    figure = Figure(figsize=(4.6 * len(names), 3.2), layout="constrained")
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for panel, asked, name in zip(panels, metrics, names, strict=True):
        lines = []
        for number, group in enumerate(groups):
            curves = [curve for run in group.runs if len(curve := run.curve(name))]
            if curves:
                lines.append(_line(curves, group, name, number))
        draw_panel(
            panel,
            lines,
            xlabel="agent steps",
            ylabel=asked.replace("_", " "),
            xformat=thousands,
            legend=len(lines) > 1 or any(len(group.runs) > 1 for group in groups),
        )
    save_figure(figure, out)


def _line(curves: Sequence[Curve], group: Group, name: str, number: int) -> Line:
    label = group.name + (f" ({len(curves)} runs)" if len(curves) > 1 else "")
    try:
        found = mean_and_spread(curves)
        return Line(label, found["steps"], found["mean"], found["low"], found["high"], number)
    except ValueError as error:
        raise OptionError(
            f"The runs of {group.name} have no steps in common at which {name} was measured; plot "
            "them one by one."
        ) from error


def _metric(asked: str, runs: Sequence[RunData]) -> str:
    """The column that is meant."""
    name = ALIASES.get(asked, asked)
    measured = {metric for run in runs for metric in run.measured}
    known = sorted(measured | {alias for alias, of in ALIASES.items() if of in measured})
    if not any(len(run.curve(name)) for run in runs):
        close = most_similar(asked, known)
        hint = f"did you mean {close!r}? There are" if close not in (None, asked) else "there are"
        raise OptionError(
            f"No run has measured {asked!r}; {hint} {', '.join(known) or 'no metrics at all'}."
        )
    return name


def _name(members: Sequence[RunData], groups: dict[str, list[RunData]]) -> str:
    """The options that set a group apart from the others; its runs' name if there are many."""
    others = [run for group in groups.values() for run in group]
    first = members[0]
    apart = []
    if len({run.trainer for run in others}) > 1:
        apart.append(first.trainer or "unknown")
    for name in first.options:
        if name not in NOT_A_DIFFERENCE:
            values = {json.dumps(run.options.get(name)) for run in others if run.options}
            if len(values) > 1:
                apart.append(f"{name} {first.options[name]}")
    unclear = not all(run.options for run in others) or (not apart and len(groups) > 1)
    if unclear or len(apart) > 3:
        # What the names of several seeds have in common: "a_seed" of a_seed-0 and a_seed-1.
        letters = zip(*(run.name for run in members), strict=False)
        common = "".join(each[0] for each in takewhile(lambda each: len(set(each)) == 1, letters))
        return common.rstrip("-_").removesuffix("seed").rstrip("-_") or first.name
    return ", ".join(apart) or (first.name if len(members) == 1 else first.trainer)
