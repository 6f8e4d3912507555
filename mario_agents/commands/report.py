"""``mario-agents report`` and ``plot``: what runs tell, as a page and as figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mario_agents.commands.dispatch import Plot, Report
from mario_agents.report.page import build_page
from mario_agents.report.plot import draw_curves
from mario_agents.report.rundata import RunData
from mario_envkit.errors import OptionError
from mario_envkit.files import replace_text


def report_runs(command: Report) -> None:
    """Write the report of one or more runs.

    Raises:
        RunError: if one of them is no run at all.
        OptionError: if the file cannot be written.
    """
    runs = load_runs(command.runs)
    out = command.out or (
        command.runs[0] / "report.html" if len(runs) == 1 else Path("report.html")
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


def plot_runs(command: Plot) -> None:
    """Draw curves of one or more runs.

    Raises:
        RunError: if one of them is no run at all.
        OptionError: for an unknown metric, or a file that cannot be written.
    """
    metrics = [name for name in command.metric.replace(" ", "").split(",") if name]
    draw_curves(load_runs(command.runs), metrics, command.out)
    print(f"Wrote {command.out}.")


def load_runs(paths: Sequence[Path]) -> list[RunData]:
    """The runs in these directories, with names by which they can be told apart."""
    resolved = [path.resolve() for path in paths]
    if len(set(resolved)) < len(resolved):
        raise OptionError("A run is named twice; name each once.")
    names = [path.name for path in resolved]
    return [
        RunData.load(given, whole.name if names.count(whole.name) == 1 else str(given))
        for given, whole in zip(paths, resolved, strict=True)
    ]
