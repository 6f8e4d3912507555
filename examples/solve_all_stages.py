"""Find a way through all 32 stages, or some, by search, and show how long each takes.

    python examples/solve_all_stages.py runs --levels 1-1 8-4

Every run is verified from a power-on and saved; look at one with
``mario-envkit play --replay runs/8-4.json``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mario_envkit.curriculum.search import NotSolved, solve
from mario_envkit.game.levels import all_levels


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where runs are saved, made if it is not there")
    parser.add_argument("--levels", nargs="+", metavar="LEVEL", help="like 1-1; without, all")
    parser.add_argument("--seconds", type=float, default=60, help="for each level; default 60")
    options = parser.parse_args()
    folder = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    total = 0.0
    for level in options.levels or map(str, all_levels()):
        try:
            run, effort = solve(level, seed=0, seconds=options.seconds)
        except NotSolved as failure:
            print(failure)
            continue
        run.save(folder / f"{level}.json")
        total += effort.seconds
        held = run.actions.hex(" ", 1)[:23]
        print(
            f"{level}: {run.frames} frames ({held} ...), found after {effort.frames} frames "
            f"and {effort.seconds:.2f} s"
        )
    print(f"searched for {total:.1f} s")


if __name__ == "__main__":
    main()
