"""One panel of a figure for papers: mean lines with shaded spread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mario_agents.report.tables import Column
from mario_envkit.errors import OptionError
from mario_envkit.files import replace_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = (".png", ".pdf", ".svg")
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_DASHES = ("-", "--", "-.", ":")


@dataclass(frozen=True, eq=False)
class Line:
    """Several runs as one line.

    Attributes:
        name: for the legend.
        x, middle, low, high: ``(points,)`` each; the veil is between ``low`` and ``high``.
        each: a thin line ``(points,)`` for every run, if they are to be seen.
        number: which colour and dashes; the same thing has the same in every panel.
    """

    name: str
    x: Column
    middle: Column
    low: Column
    high: Column
    number: int
    each: tuple[Column, ...] = ()


def draw_panel(
    panel: Axes,
    lines: Sequence[Line],
    *,
    xlabel: str,
    ylabel: str,
    xformat: Callable[[float, object], str],
    legend: bool,
) -> None:
    """Draw lines with their veils."""
    for line in lines:
        color = _COLORS[line.number % len(_COLORS)]
        dashes = _DASHES[line.number % len(_DASHES)]
        panel.plot(line.x, line.middle, dashes, color=color, label=line.name, lw=1.6)
        panel.fill_between(line.x, line.low, line.high, color=color, alpha=0.2, lw=0)
        for values in line.each:
            panel.plot(line.x, values, color=color, lw=0.5, alpha=0.6)
    panel.set_xlabel(xlabel)
    panel.set_ylabel(ylabel)
    panel.xaxis.set_major_formatter(xformat)
    panel.grid(visible=True, lw=0.5, alpha=0.5)
    panel.spines[["top", "right"]].set_visible(False)
    if legend:
        panel.legend(frameon=False, fontsize=8)


def save_figure(figure: Figure, out: Path) -> None:
    """Write a figure; the name of the file says in which of :data:`FORMATS`.

    Raises:
        OptionError: if it cannot be written.
    """
    form = out.suffix.lower().removeprefix(".")
    try:
        replace_file(out, lambda path: figure.savefig(path, format=form, dpi=200))
    except OSError as error:
        raise OptionError(f"The figure cannot be saved as {out}: {error.strerror}.") from error
