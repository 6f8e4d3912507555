"""Practise where Mario dies: an environment that saves and restores by itself.

    python examples/snapshot_env.py death_hotspots.json

It notes in this file where Mario died. Run it twice: the second time it knows where the first one
died.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from mario_envkit.curriculum.hotspots import DeathHotspotAggregate
from mario_envkit.snapshots import create_snapshot_mario_env


class Agent:
    """Runs to the right and jumps now and then; yours goes here."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def act(self, observation: Any) -> int:
        return int(self._rng.choice([1, 2, 3, 4]))  # right, with A, with B, with both


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("deaths", type=Path, help="the file of deaths; written, and read if there")
    parser.add_argument("--steps", type=int, default=1000, help="to play; default 1000")
    options = parser.parse_args()
    hotspot_path = options.deaths
    agent = Agent(seed=0)
    env = create_snapshot_mario_env(
        level=(1, 1),
        hotspot_path=hotspot_path,
        checkpoint_interval=500,
        max_restores_without_progress=3,
    )

    # Use like a normal Gymnasium environment
    obs, info = env.reset(seed=0)
    total_reward = 0.0
    for _ in range(options.steps):
        action = agent.act(obs)
        obs, reward, done, truncated, info = env.step(action)
        total_reward += reward
        # Snapshots are handled automatically!

        # Check what happened
        if info.get("snapshot_saved"):
            print(f"Saved snapshot at x={info['x_pos']}")
        if info.get("snapshot_restored"):
            died_at = info["life_lost_info"]["x_pos"]
            print(f"Died at x={died_at}. Restored from snapshot at x={info['x_pos']}!")
        if done or truncated:
            obs, info = env.reset()

    # Access statistics
    print(f"Total reward: {total_reward:.0f}")
    print(f"Total saves: {env.total_saves}")
    print(f"Total restores: {env.total_restores}")
    print(env.get_stats())
    env.close()  # writes the deaths to the file

    deaths = DeathHotspotAggregate.load_or_create(hotspot_path)
    print("All deaths on 1-1:", deaths.deaths("1-1"))
    print("Hotspots of 1-1:", deaths.get_hotspots("1-1", min_deaths=3))
    print("Save before:", deaths.suggest_snapshot_positions("1-1", count=3, min_spacing=100))


if __name__ == "__main__":
    main()
