"""Find a way through all 32 stages by search, and show how long each takes.

    python examples/solve_all_stages.py runs

Every run is verified from a power-on and saved; look at one with
``mario-envkit play --replay runs/8-4.json``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from mario_envkit.curriculum.search import NotSolved, solve
from mario_envkit.game.levels import all_levels


def main(folder: Path, levels: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    total = 0.0
    for level in levels:
        try:
            run, effort = solve(level, seed=0, seconds=60)
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
    main(
        Path(sys.argv[1] if len(sys.argv) > 1 else "runs"),
        sys.argv[2:] or [str(level) for level in all_levels()],
    )
