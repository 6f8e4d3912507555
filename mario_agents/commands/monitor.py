"""``mario-agents monitor``: look at a run from another terminal."""

from __future__ import annotations

import sys

from mario_agents.commands.dispatch import Monitor
from mario_agents.monitor.show import show, tell


def monitor_run(command: Monitor) -> None:
    """Show a run in a dashboard; without a terminal, print a summary.

    Raises:
        RunError: if there is no such run.
    """
    if sys.stdin.isatty() and sys.stdout.isatty():
        show(command.run)
    else:
        print(tell(command.run))
