"""Tiles against pixels in the vector environment: agent steps a second of random play."""

from __future__ import annotations

import statistics
import time
from typing import Any

import gymnasium
import numpy as np

import mario_envkit  # noqa: F401

SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "tiles 16x16 x2": ("MarioTiles-v0", {}),
    "pixels 52x64 x4, contrast": (
        "MarioTrain-v0", {"screen_size": (52, 64), "crop_top": 32, "palette": "contrast"},
    ),
    "pixels 84x84 x4, luma": ("MarioTrain-v0", {}),
    "ram x1": ("MarioTiles-v0", {"observation": "ram", "frame_stack": 1}),
}  # fmt: skip


def rate(env_id: str, num_envs: int, num_threads: int, seconds: float, **kwargs: Any) -> float:
    """Agent steps a second of ``num_envs`` games."""
    env = gymnasium.make_vec(env_id, num_envs, num_threads=num_threads, copy=False, **kwargs)
    actions = np.random.default_rng(0).integers(1, 5, (256, num_envs))
    env.reset(seed=0)
    for number in range(32):
        env.step(actions[number])
    steps, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        env.step(actions[steps % 256])
        steps += 1
    elapsed = time.perf_counter() - start
    env.close()
    return steps * num_envs / elapsed


def main(seconds: float = 1.0, rounds: int = 3) -> None:
    """Print the median of several rounds."""
    print(f"64 environments, skip 4, median of {rounds} rounds of {seconds:g} s")
    print(f"{'observation':28} {'1 thread':>10} {'2 threads':>10}   agent steps/s")
    rates: dict[tuple[str, int], list[float]] = {}
    for _ in range(rounds):
        for name, (env_id, kwargs) in SETTINGS.items():
            for threads in (1, 2):
                found = rate(env_id, 64, threads, seconds, **kwargs)
                rates.setdefault((name, threads), []).append(found)
    for name in SETTINGS:
        one, two = (statistics.median(rates[name, threads]) for threads in (1, 2))
        print(f"{name:28} {one:10,.0f} {two:10,.0f}")
