"""Draw where a random agent dies, on a map of the level.

    python examples/hotspot_map.py [map.png] [level] [death_hotspots.json]

With a file of deaths, for instance one of a training run, it draws those instead of playing.
"""

from __future__ import annotations

import sys
from pathlib import Path

import gymnasium
import numpy as np

import mario_envkit  # noqa: F401  (registers the ids)
from mario_envkit.curriculum.hotspots import DeathHotspotAggregate
from mario_envkit.maps import draw_deaths, draw_level, save_png

STEPS = 30_000


def die_often(level: str) -> DeathHotspotAggregate:
    """Play at random with 16 games at once, practising from snapshots, and note every death."""
    deaths = DeathHotspotAggregate()
    envs = gymnasium.make_vec(
        "MarioSnapshot-v0", num_envs=16, level=level, actions="right_only", start_states=0.35
    )
    rng = np.random.default_rng(0)
    envs.reset(seed=0)
    holds = np.zeros(16, int)
    for _ in range(STEPS // 16):
        change = rng.random(16) < 0.25  # hold most actions: short hops lead nowhere
        holds = np.where(change, rng.choice([1, 2, 3, 4, 4], 16), holds)
        _, _, _, _, infos = envs.step(holds)
        for i in np.flatnonzero(infos["life_lost"]):
            restored = infos["snapshot_restored"][i]
            x_pos = infos["life_lost_info"]["x_pos"][i] if restored else infos["x_pos"][i]
            deaths.record_death(level, int(x_pos))
    envs.close()
    return deaths


def main(out: Path, level: str, file: Path | None) -> None:
    deaths = DeathHotspotAggregate.load_or_create(file) if file else die_often(level)
    save_png(draw_deaths(draw_level(level), deaths), out)
    print(f"{deaths.deaths(level)} deaths in {level}, most of them at", end=" ")
    print(", ".join(f"x={x} ({count})" for x, count in deaths.get_hotspots(level)[:5]))
    print(f"saved {out}")


if __name__ == "__main__":
    arguments = [*sys.argv[1:], *["map.png", "1-1"][len(sys.argv) - 1 :]]
    main(Path(arguments[0]), arguments[1], Path(arguments[2]) if len(arguments) > 2 else None)
