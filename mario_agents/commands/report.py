"""``mario-agents report``: what runs tell, as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from mario_agents.commands.parsing import command_line
from mario_agents.commands.sweep import is_sweep, show
from mario_agents.report.page import build_page
from mario_agents.report.rundata import RunData
from mario_agents.sweep.optuna_study import require_optuna
from mario_agents.sweep.plan import SweepLayout, read_sweep
from mario_envkit.errors import OptionError
from mario_envkit.files import replace_text


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """Write a report of one or more runs: a single HTML file with curves, maps of the levels with
    all deaths, success per level, and the video of the best episode. It needs no network. Of the
    folder of a sweep: all its trials, and figures of the search."""

    runs: Annotated[Positional[tuple[Path, ...]], tyro.conf.arg(metavar="RUN [RUN...]")]
    """Run directories, damaged and half-written ones as far as they go; or the folder of one
    sweep."""
    out: Path | None = None
    """The file; without it report.html, in the run's directory if there is one run. That of a sweep
    is always in its folder."""


COMMAND_LINE = command_line("report", ReportOptions)


def main(words: Sequence[str]) -> None:
    """Write the report of one or more runs.

    Raises:
        RunError: if one of them is no run at all.
        OptionError: if the file cannot be written.
    """
    options = COMMAND_LINE.parse(words)
    if any(map(is_sweep, options.runs)):
        _report_sweep(options)
        return
    runs = load_runs(options.runs)
    out = options.out or (
        options.runs[0] / "report.html" if len(runs) == 1 else Path("report.html")
    )
    page = build_page(runs)
    try:
        replace_text(out, page)
    except OSError as error:
        raise OptionError(
            f"The report cannot be saved as {out}: {error.strerror}; give another file with --out."
        ) from error
    for run in runs:
        for sentence in run.missing:
            print(f"{run.name}: {sentence}")
    print(f"Wrote {out} ({len(page.encode()) / 1e6:.1f} MB).")


def _report_sweep(options: ReportOptions) -> None:
    if len(options.runs) > 1:
        raise OptionError("A sweep has a page of its own; name its folder alone.")
    if options.out is not None:
        raise OptionError("The page of a sweep is in its folder; leave out --out.")
    require_optuna()
    layout = SweepLayout(options.runs[0])
    show(layout, read_sweep(layout.plan))
    print(f"Wrote {layout.page}.")


def load_runs(paths: Sequence[Path]) -> list[RunData]:
    """The runs in these directories, with names by which they can be told apart."""
    if not paths:
        raise OptionError("Name at least one run directory.")
    resolved = [path.resolve() for path in paths]
    if len(set(resolved)) < len(resolved):
        raise OptionError("A run is named twice; name each once.")
    names = [path.name for path in resolved]
    return [
        RunData.load(given, whole.name if names.count(whole.name) == 1 else str(given))
        for given, whole in zip(paths, resolved, strict=True)
    ]
