"""Draw a run for the README: what it learned, and its way through the level, in tiles.

    mario-agents train ppo --preset tiles-cpu --total-steps 320000 --eval-interval 16384 \\
        --run-dir first
    python docs/figures/first_run.py first docs/pages/images/first-run.png

Nothing of the game's graphics is in it: the level is drawn from what ``observation="tiles"`` shows,
in the colours of :mod:`mario_envkit.game.tile_picture`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import gymnasium
import matplotlib
import numpy as np
from numpy.typing import NDArray

import mario_envkit  # noqa: F401  (registers the ids)
from mario_agents.commands.stored_run import StoredRun
from mario_envkit.curriculum.hotspots import DeathHotspotAggregate
from mario_envkit.game.tile_picture import COLOURS
from mario_envkit.game.tiles import GRID_COLUMNS, GRID_ROWS, MARIO_COLUMN, Tile, read_tiles

BLOCK, SCORE_BAR = 16, 32  # pixels


def evaluations(run: Path) -> dict[str, NDArray[np.float64]]:
    """Agent steps, and the success in per cent of greedy evaluations, plain and sticky."""
    rows = [json.loads(line) for line in (run / "evaluations.jsonl").read_text().splitlines()]
    success = {
        name: np.array([100 * np.mean([e["success"] for e in row[name]]) for row in rows])
        for name in ("plain", "sticky")
    }
    return {"steps": np.array([row["step"] for row in rows]), **success}


def best_way(run: Path) -> tuple[dict[int, NDArray[np.uint8]], NDArray[np.int64]]:
    """A greedy episode of the best weights: the columns of the level, and Mario's places in it.

    Returns:
        ``(13,)`` codes by column of the level, and ``(steps, 2)`` pixels from its top left block.
    """
    stored = StoredRun.open(run)
    policy: Any = stored.trainer.load_policy(stored.config, run, device="cpu", weights="best")
    env = gymnasium.make("MarioTrain-v0", **{**stored.trainer.env_kwargs(stored.config),
                                             "noop_max": 0})  # fmt: skip
    game: Any = env.unwrapped
    observation, info = env.reset(seed=0)
    policy.reset(1)
    columns: dict[int, NDArray[np.uint8]] = {}
    places, over = [], False
    while not over:
        memory = game.emulator.ram
        picture = read_tiles(memory)
        first = (info["x_pos"] + BLOCK // 2) // BLOCK - MARIO_COLUMN
        for column in range(GRID_COLUMNS):
            seen = picture[:GRID_ROWS, column].copy()
            seen[seen >= Tile.PLATFORM] = Tile.EMPTY  # what moves is not the level
            if first + column >= 0 and (seen.any() or first + column not in columns):
                columns.setdefault(first + column, seen)
        height = int(picture[GRID_ROWS, 12])  # of his top, from the top of the screen
        places.append((info["x_pos"] + BLOCK // 2, height - SCORE_BAR + BLOCK // 2))
        action = policy.act(observation[None], greedy=True)[0]
        observation, _, terminated, truncated, info = env.step(action)
        over = terminated or truncated
    print(f"ended by {info['ending']!r} after {len(places)} agent steps, at x={info['x_pos']}")
    return columns, np.array(places)


def draw(run: Path, out: Path) -> None:
    """Write the figure."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False})
    measured, (columns, places) = evaluations(run), best_way(run)
    width = max(columns) + 1
    level = np.zeros((GRID_ROWS, width), np.uint8)
    for column, codes in columns.items():
        level[:, column] = codes
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(10, 3.6), height_ratios=(3, 1.05), layout="constrained"
    )
    for name, label, colour in (
        ("plain", "greedy", "#2a6fbb"), ("sticky", "greedy, sticky actions", "#d0642b"),
    ):  # fmt: skip
        above.plot(measured["steps"] / 1000, measured[name], label=label, color=colour)
    above.set(xlabel="thousand agent steps", ylabel="flag reached, % of 10", ylim=(-3, 103))
    above.legend(frameon=False, loc="lower right")
    below.imshow(COLOURS[level], extent=(0, width * BLOCK, GRID_ROWS * BLOCK, 0), aspect="auto")
    below.plot(*places.T, color="#70b4ff", linewidth=1.2)
    deaths = DeathHotspotAggregate.load_or_create(run / "death_hotspots.json")
    for x, count in deaths.get_hotspots("1-1"):
        below.plot(x, GRID_ROWS * BLOCK - 4, "v", color="#ff5a5a", markersize=1 + count**0.33)
    below.set(xlabel="x in pixels", yticks=[], xlim=(0, width * BLOCK), ylim=(GRID_ROWS * BLOCK, 0))
    figure.savefig(out, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw a run for the README.")
    parser.add_argument("run", type=Path, help="directory of a run on 1-1")
    parser.add_argument("out", type=Path, help="the figure: a PNG or SVG")
    options = parser.parse_args()
    draw(options.run, options.out)


if __name__ == "__main__":
    main()
