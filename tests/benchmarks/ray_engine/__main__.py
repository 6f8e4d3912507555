"""``python -m tests.benchmarks.ray_engine measure``, ``... handle`` and ``... simulate``."""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.benchmarks.ray_engine import measure, simulate
from tests.benchmarks.ray_engine.measured import TRAINERS

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.ray_engine")
    commands = parser.add_subparsers(dest="command", required=True)
    measuring = commands.add_parser("measure", help="train for a while, on both engines")
    measuring.add_argument("--trainers", nargs="+", default=list(TRAINERS), choices=TRAINERS)
    measuring.add_argument("--workers", nargs="+", type=int, default=[1, 2])
    measuring.add_argument("--seconds", type=float, default=20.0, help="that each run is looked at")
    handling = commands.add_parser("handle", help="send packets to a learner as fast as it goes")
    simulating = commands.add_parser("simulate", help="to many workers, from what was measured")
    simulating.add_argument("--plot", type=Path, help="SVG to write")
    for each in (measuring, handling, simulating):
        each.add_argument("--file", type=Path, default=HERE / "measured.json")
    options = parser.parse_args()
    if options.command == "measure":
        measure.main(options.file, options.trainers, options.workers, options.seconds)
    elif options.command == "handle":
        measure.handle(options.file)
    else:
        simulate.main(options.file, options.plot)


if __name__ == "__main__":
    main()
