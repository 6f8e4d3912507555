"""Figures as inline SVG, in the colours of the page, light and dark."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from io import StringIO
from typing import TYPE_CHECKING

import numpy as np

from mario_agents.report.tables import Curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = (4.6, 2.9)
"""Inches; small, so that text is large enough where a phone shows it."""
SERIES = 8
"""Colours that the page has, ``--series-0`` and so on."""
_DASHES = ("-", "--", "-.", ":")

# Colours that no figure means: they become the page's variables.
_INK, _GRID = "#010203", "#010204"
_MARKERS = {_INK: "--ink", _GRID: "--line"} | {f"#0506{i:02x}": f"--series-{i}" for i in range(8)}


@dataclass(frozen=True, eq=False)
class Series:
    """A named curve.

    Attributes:
        low, high: bounds of an interval around each value, if there is one.
    """

    name: str
    curve: Curve
    color: int = 0
    dashes: int = 0
    low: np.ndarray[tuple[int], np.dtype[np.float64]] | None = None
    high: np.ndarray[tuple[int], np.dtype[np.float64]] | None = None


@dataclass(frozen=True)
class Bar:
    """A share with its 95 % interval, for instance of successes."""

    name: str
    value: float
    low: float
    high: float
    color: int = 0


@dataclass(frozen=True)
class Figured:
    """An SVG element, and in words what it shows."""

    title: str
    svg: str
    description: str


def series_color(number: int) -> str:
    """What to draw the ``number``-th series in."""
    return f"#0506{number % SERIES:02x}"


def curves(
    key: str, title: str, ylabel: str, series: Sequence[Series], *, share: bool = False
) -> Figured:
    """Curves over agent steps.

    Args:
        key: of letters and digits; no other figure of the page may have it.
        title: of the figure.
        ylabel: what is drawn, with its unit.
        series: at least one point in all.
        share: the values are shares, and the axis goes from 0 to 1.
    """
    figure, axes = _figure()
    for one in series:
        steps, values = one.curve.steps, one.curve.values
        color = series_color(one.color)
        style = _DASHES[one.dashes % len(_DASHES)]
        marker = "o" if len(one.curve) < 15 else ""
        axes.plot(steps, values, style, color=color, label=one.name, lw=1.8, marker=marker, ms=3.5)
        if one.low is not None and one.high is not None:
            axes.fill_between(steps, one.low, one.high, color=color, alpha=0.15, lw=0)
    axes.set_xlabel("agent steps")
    axes.set_ylabel(ylabel)
    axes.xaxis.set_major_formatter(thousands)
    if share:
        axes.set_ylim(-0.03, 1.03)
        axes.yaxis.set_major_formatter(_percent)
    if len(series) > 1:
        axes.legend(frameon=False, labelcolor=_INK, fontsize=9, handlelength=3)
    words = " ".join(_in_words(one) for one in series)
    return _finish(figure, key, title, f"{ylabel} over agent steps. {words}")


def bars(key: str, title: str, xlabel: str, items: Sequence[Bar]) -> Figured:
    """Shares from 0 to 1 as bars with intervals, the first at the top."""
    figure, axes = _figure(height=max(1.6, 0.7 + 0.3 * len(items)))
    places = np.arange(len(items))[::-1]
    for place, item in zip(places, items, strict=True):
        axes.barh(place, item.value, height=0.55, color=series_color(item.color))
        axes.plot([item.low, item.high], [place, place], color=_INK, lw=1.2, marker="|", ms=6)
    axes.set_yticks(places, [item.name for item in items])
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.6, len(items) - 0.4)
    axes.xaxis.set_major_formatter(_percent)
    axes.set_xlabel(xlabel)
    axes.grid(visible=False, axis="y")
    words = " ".join(
        f"{item.name}: {item.value:.0%}, between {item.low:.0%} and {item.high:.0%}."
        for item in items
    )
    return _finish(figure, key, title, f"{xlabel}. {words}")


def _figure(height: float = SIZE[1]) -> tuple[Figure, Axes]:
    # Imported here: it costs half a second, and whoever only reads runs does not need it.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(SIZE[0], height), layout="constrained", facecolor="none")
    axes = figure.add_subplot(facecolor="none")
    axes.grid(visible=True, color=_GRID, lw=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_INK, labelsize=10, length=0)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set(color=_INK, fontsize=10)
    for side, spine in axes.spines.items():
        spine.set_color(_GRID)
        spine.set_visible(side in ("left", "bottom"))
    return figure, axes


def _finish(figure: Figure, key: str, title: str, description: str) -> Figured:
    import matplotlib

    out = StringIO()
    # Text stays text: it can be searched, read aloud, and is small.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": key}):
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    return Figured(title, _inline(out.getvalue(), key, title, description), description)


def _inline(svg: str, key: str, title: str, description: str) -> str:
    """The ``<svg>`` element alone: with the page's colours, names of its own, and words."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # Figures of a page share one space of ids.
    svg = re.sub(r'\bid="([^"]*)"', rf'id="{key}-\1"', svg)
    svg = re.sub(r"url\(#([^)]*)\)", rf"url(#{key}-\1)", svg)
    svg = re.sub(r'href="#([^"]*)"', rf'href="#{key}-\1"', svg)
    for marker, variable in _MARKERS.items():
        svg = svg.replace(marker, f"var({variable})")
    head, _, body = svg.partition(">")
    view = re.search(r'viewBox="[^"]*"', head)
    assert view is not None
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'class="figure" role="img" aria-labelledby="{key}-title {key}-desc" {view[0]}>'
        f'<title id="{key}-title">{escape(title)}</title>'
        f'<desc id="{key}-desc">{escape(description)}</desc>{body}'
    )


def _in_words(series: Series) -> str:
    steps, values = series.curve.steps, series.curve.values
    if not len(values):
        return f"{series.name}: no values."
    best = int(values.argmax())
    return (
        f"{series.name}: from {_short(values[0])} at step {steps[0]:,.0f} to {_short(values[-1])} "
        f"at step {steps[-1]:,.0f}; highest {_short(values[best])} at step {steps[best]:,.0f}."
    )


def _percent(share: float, _: object = None) -> str:
    return f"{share:.0%}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def thousands(value: float, _: object = None) -> str:
    """A number of steps for an axis: 20k, 1.5M."""
    if abs(value) >= 1e6:
        return f"{value / 1e6:g}M"
    return f"{value / 1e3:g}k" if abs(value) >= 1e3 else f"{value:g}"
