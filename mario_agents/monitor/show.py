"""Starts the dashboard, or prints its summary."""

from __future__ import annotations

import os
import sys
import time
from contextlib import closing
from pathlib import Path

from mario_agents.monitor.feed import RunFeed
from mario_agents.monitor.plain import summary
from mario_agents.run import RunDir

LISTEN_SECONDS = 1.5
"""Time in which every process of a run has told its state once."""


def show(run_path: Path, *, parent: int | None = None, web: bool = False) -> None:
    """Show a run until somebody closes the dashboard.

    Args:
        run_path: the run directory.
        parent, web: see :class:`~mario_agents.monitor.app.DashboardApp`.

    Raises:
        RunError: if there is no run in ``run_path``.
    """
    # Imported here: it costs a third of a second, and a summary does not need it.
    from mario_agents.monitor.app import DashboardApp
    from mario_agents.monitor.report import ReportJob

    if parent is not None and hasattr(os, "nice"):
        os.nice(5)  # where all cores are busy, training comes first
    feed = RunFeed(RunDir.open(run_path))
    report = ReportJob(run_path, open_page=not web)
    app = DashboardApp(feed, feed.begin(), report, parent=parent, web=web)
    app.run()
    if app.return_code:
        sys.exit(app.return_code)


def tell(run_path: Path) -> str:
    """A summary of a run, for whoever has no terminal.

    Raises:
        RunError: if there is no run in ``run_path``.
    """
    with closing(RunFeed(RunDir.open(run_path))) as feed:
        state = feed.begin()
        deadline = time.monotonic() + LISTEN_SECONDS
        while feed.living and time.monotonic() < deadline:
            time.sleep(0.05)
            state = feed.poll(state)
        return summary(state, living=feed.living, now=time.time())
