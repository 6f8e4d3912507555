"""The widgets of the dashboard."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import RichLog, Sparkline, Static

from mario_agents.monitor import draw
from mario_agents.monitor.state import MAX_LOGS, Dashboard, clean


class Lines(Static):
    """Lines of text, drawn again only where they are others."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, markup=False)
        self._shown: Text | None = None

    def show(self, text: Text) -> None:
        """Draw ``text``."""
        if text != self._shown:
            before, self._shown = self._shown, text
            # Only another number of lines can move what is below.
            same = before is not None and before.plain.count("\n") == text.plain.count("\n")
            self.update(text, layout=not same)


class Curve(Horizontal):
    """A label, a number, and its course as a line of bars; of the ``number``-th curve of a run."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number
        self._points: tuple[float, ...] = ()
        self._text = Text()

    def compose(self) -> ComposeResult:
        """The number, and the course."""
        yield Static(classes="label", markup=False)
        yield Sparkline([], summary_function=_mean)

    def show_curve(self, state: Dashboard) -> None:
        """Draw the metric's course and its latest value; nothing if the run has fewer curves."""
        metrics = state.curve_metrics
        self.display = self._number < len(metrics)
        if not self.display:
            return
        metric = metrics[self._number]
        value = draw.short(state.value(metric))
        text = Text.assemble((f"{clean(metric.label, 8):<8}", "bold"), value.rjust(8))
        if text != self._text:
            self._text = text
            self.query_one(Static).update(text, layout=False)
        points = state.curves[metric.name].points if metric.name in state.curves else ()
        if points != self._points:
            self._points = points
            self.query_one(Sparkline).data = list(points)


class LogPanel(RichLog):
    """The latest lines of the log; it scrolls along unless somebody has scrolled up."""

    def __init__(self, local_time: Callable[[float], str], *, id: str) -> None:
        super().__init__(id=id, max_lines=MAX_LOGS, wrap=True, auto_scroll=True)
        self._local_time = local_time
        self._written = 0
        self._broken_for = 0
        self.can_focus = False

    def show_logs(self, state: Dashboard) -> None:
        """Add the lines that are new; in another width, break all of them anew."""
        width = self.scrollable_content_region.width
        if width != self._broken_for:
            self._broken_for = width
            self.clear()
            self._written = 0
        new = min(state.logged - self._written, len(state.logs))
        self._written = state.logged
        for line in state.logs[len(state.logs) - new :]:
            at_end = self.is_vertical_scroll_end
            self.write(
                draw.log_line(line, self._local_time(line.time)), scroll_end=at_end, expand=True
            )


def _mean(points: Sequence[float]) -> float:
    return sum(points) / len(points)
