"""A command of ``mario-agents`` that ends when the process that started it is gone.

``python -m mario_agents.child_entry train ...``: the same as ``mario-agents train ...``, but its
standard input is a pipe that nobody writes to. When it closes, be it because whoever started it was
killed, the command is interrupted as by Ctrl-C.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from mario_agents.cli import main


def interrupt_when_alone() -> None:
    """Wait for the end of the standard input, then interrupt this process."""
    # Not sys.stdin: a thread that waits within it would hold its lock when the process ends.
    while os.read(0, 1024):
        pass
    if sys.platform == "win32":  # where another signal than those of the console ends it at once
        signal.raise_signal(signal.SIGINT)
    else:
        os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    # A shell that starts a job in the background lets it ignore Ctrl-C, and so its children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=interrupt_when_alone, daemon=True).start()
    sys.exit(main())
