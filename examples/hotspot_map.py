"""Draw where a random agent dies, on a map of the level.

    python examples/hotspot_map.py map.png --level 1-1

With a file of deaths, for instance one of a training run, it draws those instead of playing:
``--deaths death_hotspots.json``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import gymnasium
import numpy as np

import mario_envkit  # noqa: F401  (registers the ids)
from mario_envkit.curriculum.hotspots import DeathHotspotAggregate
from mario_envkit.maps import draw_deaths, draw_level, save_png


def die_often(level: str, steps: int) -> DeathHotspotAggregate:
    """Play at random with 16 games at once, practising from snapshots, and note every death."""
    deaths = DeathHotspotAggregate()
    envs = gymnasium.make_vec(
        "MarioSnapshot-v0", num_envs=16, level=level, actions="right_only", start_states=0.35
    )
    rng = np.random.default_rng(0)
    envs.reset(seed=0)
    holds = np.zeros(16, int)
    for _ in range(steps // 16):
        change = rng.random(16) < 0.25  # hold most actions: short hops lead nowhere
        holds = np.where(change, rng.choice([1, 2, 3, 4, 4], 16), holds)
        _, _, _, _, infos = envs.step(holds)
        for i in np.flatnonzero(infos["life_lost"]):
            restored = infos["snapshot_restored"][i]
            x_pos = infos["life_lost_info"]["x_pos"][i] if restored else infos["x_pos"][i]
            deaths.record_death(level, int(x_pos))
    envs.close()
    return deaths


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="the picture that is written, a PNG")
    parser.add_argument("--level", default="1-1", help="which level; default 1-1")
    parser.add_argument("--deaths", type=Path, metavar="FILE", help="draw these, and do not play")
    parser.add_argument("--steps", type=int, default=30_000, help="to play; default 30000")
    options = parser.parse_args()
    level, file = options.level, options.deaths
    if file and not file.exists():
        parser.error(f"there is no file {file}; give one that a run or snapshot_env.py has written")
    deaths = DeathHotspotAggregate.load_or_create(file) if file else die_often(level, options.steps)
    save_png(draw_deaths(draw_level(level), deaths), options.out)
    print(f"{deaths.deaths(level)} deaths in {level}, most of them at", end=" ")
    print(", ".join(f"x={x} ({count})" for x, count in deaths.get_hotspots(level)[:5]))
    print(f"saved {options.out}")


if __name__ == "__main__":
    main()
