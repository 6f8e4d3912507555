"""``mario-agents plot``: curves of runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from mario_agents.commands.parsing import command_line
from mario_agents.commands.report import load_runs
from mario_agents.report.plot import draw_curves


@dataclass(frozen=True, kw_only=True)
class PlotOptions:
    """Draw metrics of one or more runs over agent steps: the mean over the seeds of each
    configuration, and a standard deviation around it."""

    runs: Annotated[Positional[tuple[Path, ...]], tyro.conf.arg(metavar="RUN [RUN...]")]
    """Run directories."""
    metric: str = "return,success"
    """What to draw, one panel each: columns of the runs' CSV files, or return, x, length."""
    out: Path = Path("curve.png")
    """The figure: a PNG, PDF or SVG."""


COMMAND_LINE = command_line("plot", PlotOptions)


def main(words: Sequence[str]) -> None:
    """Draw curves of one or more runs.

    Raises:
        RunError: if one of them is no run at all.
        OptionError: for an unknown metric, or a file that cannot be written.
    """
    options = COMMAND_LINE.parse(words)
    metrics = [name for name in options.metric.replace(" ", "").split(",") if name]
    draw_curves(load_runs(options.runs), metrics, options.out)
    print(f"Wrote {options.out}.")
