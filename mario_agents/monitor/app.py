"""The dashboard in a terminal. All it says comes from the state; nothing here can touch training.

It draws once a second at most: processes report no more often, and every redraw takes time from
training on a machine whose cores are all busy.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import ClassVar

from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.css.query import NoMatches
from textual.widgets import Footer

from mario_agents.monitor import draw, draw_learner
from mario_agents.monitor.feed import Feed
from mario_agents.monitor.report import ReportJob
from mario_agents.monitor.state import Dashboard
from mario_agents.monitor.widgets import Curve, Lines, LogPanel

POLL_SECONDS = 0.25
"""Seconds between two looks at what has arrived."""
DRAW_SECONDS = 1.5
"""Seconds between two drawings that no key asked for: drawing is what a dashboard costs."""
CURVES = 3
PANEL_HEIGHT = 44
"""Lines of a terminal beyond which each panel of the algorithm gets one of its own."""
CONFIRM_SECONDS = 4.0
"""Time in which the stop key has to be pressed again."""


class DashboardApp(App[None]):
    """Shows a run.

    Args:
        feed: the run.
        state: what is known of it already.
        report: writes and opens its report.
        parent: number of the process that trains and shows this; the dashboard ends with it, and
            Ctrl-C stops the run. None watches a run of another terminal: Ctrl-C ends only this.
        web: ``parent`` only serves this to a browser, where Ctrl-C ends only this, too.
        now: Unix seconds.
        local_time: writes a time of day.
    """

    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = False
    TITLE = "mario-agents"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "leave", "Quit view"),
        Binding("p", "pause", "Pause view"),
        Binding("l,right", "level(1)", "Level"),
        Binding("left", "level(-1)", show=False),
        Binding("down,j", "scroll_workers(1)", show=False),
        Binding("up,k", "scroll_workers(-1)", show=False),
        Binding("r", "report", "Report"),
        Binding("s", "stop", "Stop run"),
        Binding("ctrl+c", "interrupt", "Stop run", show=False, priority=True),
        Binding("ctrl+q", "leave", show=False, priority=True),
    ]

    def __init__(
        self,
        feed: Feed,
        state: Dashboard,
        report: ReportJob,
        *,
        parent: int | None = None,
        web: bool = False,
        now: Callable[[], float] = time.time,
        local_time: Callable[[float], str] = lambda s: time.strftime("%H:%M:%S", time.localtime(s)),
    ) -> None:
        super().__init__()
        self.state = state
        """The newest, whether it is drawn or not."""
        self._feed, self._report, self._parent_pid = feed, report, parent
        self._web = web
        self._now, self._local_time = now, local_time
        self._drawn: Dashboard | None = None
        self._draw_due = 0.0
        self._paused = self._stopping = False
        self._level: str | None = None  # None follows the latest death
        self._confirm_until = 0.0

    def compose(self) -> ComposeResult:
        """The widgets, from top to bottom."""
        yield Lines(id="header")
        yield Lines(id="learner")
        for number in range(CURVES):
            yield Curve(number)
        yield Lines(id="levels")
        yield Lines(id="deaths")
        yield Lines(id="head")
        with VerticalScroll(id="workers", can_focus=False):
            yield Lines(id="rows")
        yield LogPanel(self._local_time, id="log")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Begin."""
        if sys.platform != "win32":
            # The terminal is given back in order when training, or somebody, ends the dashboard.
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.exit)
        self._draw()
        self.set_interval(POLL_SECONDS, self._poll)

    def on_unmount(self) -> None:
        """End."""
        self._feed.close()

    def on_resize(self, event: events.Resize) -> None:
        """Draw for the new size."""
        self.set_class(event.size.height >= 36, "tall")
        self.call_after_refresh(self._draw)

    def on_app_blur(self, event: events.AppBlur) -> None:
        """Keep showing the keys: a page begins without the focus, and is looked at without it."""
        if self._web:
            event.prevent_default()

    # -- from time to time -------------------------------------------------------------------

    def _poll(self) -> None:
        if self._orphaned():
            self.exit()
            return
        self.state = self._feed.poll(self.state)
        self._stopping = self._stopping and self._feed.living
        finished = self._report.poll()
        if finished:
            self.notify(finished, markup=False)
        if time.monotonic() >= self._draw_due and not self._paused:
            self._draw()

    def _orphaned(self) -> bool:
        """Whether the process that shows this is gone; on Windows its shell is between the two."""
        if self._parent_pid is None or sys.platform == "win32":
            return False
        return os.getppid() != self._parent_pid

    def _draw(self) -> None:
        self._draw_due = time.monotonic() + DRAW_SECONDS
        if not self._paused or self._drawn is None:
            self._drawn = self.state
        # The screen may be about to be built, or to be taken down.
        with suppress(NoMatches):
            self._show(self._drawn, self._now(), self.size.width)

    def _show(self, state: Dashboard, now: float, width: int) -> None:
        lines = {id: self.query_one(f"#{id}", Lines) for id in ("header", "learner", "head")}
        lines["header"].show(draw.header(state, self.condition(), now, width))
        room = max(self.size.height - PANEL_HEIGHT, 0)
        lines["learner"].show(draw_learner.learner(state, now, width, panels=room))
        head, rows = draw.workers(state, now, width - 1)
        lines["head"].show(head)
        self.query_one("#rows", Lines).show(rows)
        for curve in self.query(Curve):
            curve.show_curve(state)
        deaths = self.query_one("#deaths", Lines)
        deaths.show(draw.deaths(state, self.level(state), width))
        levels = self.query_one("#levels", Lines)
        levels.display = len(state.rates) > 1
        levels.show(draw.levels(state))
        self.query_one(LogPanel).show_logs(state)

    def condition(self) -> str:
        """One or two words on how the run is."""
        if self._paused:
            return "paused"
        phase = self.state.phase
        if not self._feed.living:
            return "ended" if phase in ("stopped", "waiting") else "ended without a word"
        if self._stopping:
            return "stopping"
        return "silent" if self._feed.silent else phase

    def level(self, state: Dashboard) -> str:
        """The level whose deaths are shown: the chosen one, or that of the latest death."""
        return state.level if self._level is None else self._level

    # -- keys --------------------------------------------------------------------------------

    def action_leave(self) -> None:
        """Close the dashboard; the run goes on."""
        self.exit()

    def action_pause(self) -> None:
        """Let the picture stand still, or move again; the run does not notice."""
        self._paused = not self._paused
        self._draw()

    def action_level(self, direction: int) -> None:
        """Show the deaths of another level; after the last one it is again that of the latest."""
        choices: list[str | None] = [None, *sorted(self.state.deaths)]
        here = choices.index(self._level) if self._level in choices else 0
        self._level = choices[(here + direction) % len(choices)]
        self.notify(f"Deaths: {self._level or 'level of the latest death'}", markup=False)
        self._draw()

    def action_scroll_workers(self, lines: int) -> None:
        """Show workers that there is no room for."""
        self.query_one("#workers").scroll_relative(y=lines, animate=False)

    def action_report(self) -> None:
        """Write the report and open it."""
        self.notify(self._report.start(), markup=False)

    def action_stop(self) -> None:
        """Ask the run to save and end; only the second press does."""
        if self._stopping:
            self.notify("The run is saving.")
        elif time.monotonic() < self._confirm_until:
            self._stop()
        elif not self._feed.living:
            self.notify("The run has ended.")
        else:
            self._confirm_until = time.monotonic() + CONFIRM_SECONDS
            self.notify("Press s again to stop the run.", timeout=CONFIRM_SECONDS)

    def action_interrupt(self) -> None:
        """Ctrl-C: stop the run that this terminal trains, at once if it was asked before; or only
        close the dashboard."""
        if self._parent_pid is None or self._web:
            self.exit()
        else:
            self._stop()

    def _stop(self) -> None:
        self._confirm_until = 0.0
        if self._feed.stop():
            self._stopping = True
            self.notify("The run saves and stops.")
        else:
            self.notify("The run gives no sign of life.", severity="warning")
        self._draw()
