"""``mario-agents monitor``: look at a run from another terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from tyro.conf import FlagCreatePairsOff

from mario_agents.commands.parsing import command_line
from mario_agents.commands.stored_run import RunPath
from mario_agents.monitor.show import show, tell
from mario_envkit.arguments import as_int
from mario_envkit.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class MonitorOptions:
    """Show a run that is being trained, or was: a dashboard in a terminal, else a summary."""

    run: RunPath
    """Run directory."""
    web: FlagCreatePairsOff[bool] = False
    """Serve the dashboard to browsers, at this machine unless --host says otherwise; needs the
    extra "web"."""
    host: str | None = None
    """Name or address to serve it at (default: 127.0.0.1). Anything but loopback demands a token,
    which is part of the printed address."""
    port: int | None = None
    """Port to serve it at (default: 8000; 0: any that is free)."""
    token: FlagCreatePairsOff[bool] = False
    """Demand the token at loopback too: for machines with other users."""


COMMAND_LINE = command_line("monitor", MonitorOptions)


def main(words: Sequence[str]) -> None:
    """Show a run in a dashboard, or serve one; without a terminal, print a summary.

    Raises:
        RunError: if there is no such run.
        OptionError: for options that do not go together, or an address that cannot be served at.
    """
    options = COMMAND_LINE.parse(words)
    if options.web:
        # Imported here: nobody else needs it.
        from mario_agents.monitor.web.server import serve

        port = 8000 if options.port is None else as_int("--port", options.port, most=65535)
        serve(options.run, host=options.host or "127.0.0.1", port=port, token=options.token)
    elif options.host is not None or options.port is not None or options.token:
        raise OptionError("--host, --port and --token say how --web serves: add --web.")
    elif sys.stdin.isatty() and sys.stdout.isatty():
        show(options.run)
    else:
        print(tell(options.run))
