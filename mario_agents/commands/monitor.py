"""``mario-agents monitor``: look at a run from another terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from mario_agents.commands.parsing import parse
from mario_agents.commands.stored_run import RunPath
from mario_agents.monitor.show import show, tell


@dataclass(frozen=True, kw_only=True)
class MonitorOptions:
    """Show a run that is being trained, or was: a dashboard in a terminal, else a summary."""

    run: RunPath
    """Run directory."""


def main(words: Sequence[str]) -> None:
    """Show a run in a dashboard; without a terminal, print a summary.

    Raises:
        RunError: if there is no such run.
    """
    options = parse(MonitorOptions, "monitor", words)
    if sys.stdin.isatty() and sys.stdout.isatty():
        show(options.run)
    else:
        print(tell(options.run))
