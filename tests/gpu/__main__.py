"""``python -m tests.gpu``: check that everything works on a GPU, and measure how fast it is."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

MINUTES, MINUTES_CPU = 6.0, 30.0


def main(words: Sequence[str] | None = None) -> int:
    """Make the checks; 0 if all of them are ok, 1 if not, 2 if they cannot be made."""
    begin = time.monotonic()
    parser = argparse.ArgumentParser(prog="python -m tests.gpu", description=__doc__)
    parser.add_argument("--device", default="cuda", help="cuda (the default), cuda:1, cpu")
    parser.add_argument(
        "--minutes",
        type=float,
        help="for all of it, from the start of the command to its end; what does not fit is not "
        f"run. Default {MINUTES:g}, on the CPU {MINUTES_CPU:g}",
    )
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME",
        help="checks whose name begins so, such as losses, run:ppo or learn; --list shows all",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("gpu-check.json"), help="the JSON file")
    parser.add_argument(
        "--list", action="store_true", help="show what would be checked, and its seconds"
    )
    options = parser.parse_args(words)
    minutes = options.minutes
    if minutes is None:
        minutes = MINUTES_CPU if options.device == "cpu" else MINUTES
    if not minutes > 0:
        parser.error(f"--minutes {minutes:g} is not possible. Give a number above 0.")

    from tests.gpu.command import check, show  # which takes seconds: it imports torch

    if options.list:
        return show(options.device, options.only)
    return check(options.device, options.only, options.out, begin, minutes)


if __name__ == "__main__":
    sys.exit(main())
