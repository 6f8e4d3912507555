"""``mario-agents``: train agents, and see what they learned.

This module imports nothing of the ``agents`` extra, so that it can say in one sentence that the
extra is missing, and so that ``--help`` does not wait for torch.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from mario_envkit.errors import MarioEnvkitError

NEEDED = (
    *("jinja2", "matplotlib", "msgspec", "rich", "safetensors"),
    *("textual", "torch", "tyro", "yaml"),
)
EXIT_ERROR = 2
EXIT_INTERRUPTED = 130
EXIT_READER_LEFT = 141
EXIT_TERMINATED = 143


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status.

    0 is success, 2 an error that is explained in one sentence on the standard error stream, 130
    and 143 a stop by Ctrl-C and SIGTERM, 141 that nobody reads on, as behind ``| head``.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        print(
            f"mario-agents: not installed: {', '.join(missing)}; "
            "install the trainers with: pip install 'mario-envkit[agents]'",
            file=sys.stderr,
        )
        return EXIT_ERROR

    from mario_agents.commands import dispatch
    from mario_agents.stopping import Terminated

    try:
        dispatch(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
    except BrokenPipeError:
        if not _reader_left():
            raise
        return EXIT_READER_LEFT
    except MarioEnvkitError as error:
        print(f"mario-agents: {error}", file=sys.stderr)
        return EXIT_ERROR
    except KeyboardInterrupt as stop:
        print(f"mario-agents: stopped. {stop}".rstrip(), file=sys.stderr)
        return EXIT_TERMINATED if isinstance(stop, Terminated) else EXIT_INTERRUPTED
    return 0


def _reader_left() -> bool:
    """Whether it is our output that nobody reads any more; what is left of it is thrown away."""
    if sys.platform == "win32":
        return False
    import select

    output = select.poll()
    output.register(sys.stdout.fileno(), 0)
    if not any(event & select.POLLERR for _, event in output.poll(0)):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return True


if __name__ == "__main__":
    sys.exit(main())
