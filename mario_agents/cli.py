"""``mario-agents``: train agents, and see what they learned.

This module imports nothing of the ``agents`` extra, so that it can say in one sentence that the
extra is missing, and so that ``--help`` does not wait for torch.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec

from mario_envkit.command_line import run_command
from mario_envkit.errors import BackendUnavailable

NEEDED = (
    *("jinja2", "matplotlib", "msgspec", "rich", "safetensors"),
    *("textual", "torch", "tyro", "yaml"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; see :func:`~mario_envkit.command_line.run_command`.

    Status 129, 130 and 143: stopped by a closed terminal (SIGHUP), Ctrl-C and SIGTERM.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    return run_command("mario-agents", partial(_run, words))


def _run(words: list[str]) -> None:
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise BackendUnavailable(
            f"not installed: {', '.join(missing)}; "
            "install the trainers with: pip install 'mario-envkit[agents]'"
        )

    from mario_agents.commands.table import dispatch

    dispatch(words)


if __name__ == "__main__":
    sys.exit(main())
