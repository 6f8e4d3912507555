"""The vector environment: agent steps a second, what Python costs, creation, memory.

Peer: the usual gym-super-mario-bros 7.4 stack (skip 4, 84 x 84 grey, stack of 4), in the same run.
"""

from __future__ import annotations

import gc
import statistics
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

import mario_envkit  # noqa: F401

from .peers import Gym74


class Timed:
    """The native pool, with the time spent in it."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self.seconds = 0.0

    def run(self, observations: Any) -> int:
        start = time.perf_counter()
        troubled: int = self._pool.run(observations)
        self.seconds += time.perf_counter() - start
        return troubled

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)


def rate(num_envs: int, num_threads: int, seconds: float, **kwargs: Any) -> tuple[float, float]:
    """Agent steps a second of random play, and the share of the time outside the core."""
    env = gymnasium.make_vec("MarioTrain-v0", num_envs, num_threads=num_threads, **kwargs)
    games = env.unwrapped._pool
    games._pool = timed = Timed(games._pool)
    rng = np.random.default_rng(0)
    actions = rng.integers(1, 5, (256, num_envs))
    env.reset(seed=0)
    for number in range(32):
        env.step(actions[number])
    timed.seconds = 0.0
    steps, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        env.step(actions[steps % 256])
        steps += 1
    elapsed = time.perf_counter() - start
    env.close()
    return steps * num_envs / elapsed, 1 - timed.seconds / elapsed


def resident() -> int:
    """Bytes of memory that this process occupies."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def creation(num_envs: int) -> tuple[float, float]:
    """Seconds until the first observation, and bytes an environment beyond its observations."""
    gymnasium.make_vec("MarioTrain-v0", 1).reset()
    gc.collect()
    before, start = resident(), time.perf_counter()
    env = gymnasium.make_vec("MarioTrain-v0", num_envs, copy=False)
    env.reset(seed=0)
    seconds = time.perf_counter() - start
    env.step(np.ones(num_envs, np.int64))
    # One stack in the core, and the one that is returned again and again.
    observations = int(np.prod(env.observation_space.shape or ())) * 2
    return seconds, (resident() - before - observations) / num_envs


def main(seconds: float = 2.0, rounds: int = 5) -> None:
    """Print medians, and medians of the ratios taken round by round."""
    peer = Gym74()
    settings: dict[str, dict[str, Any]] = {
        "16 envs, 1 thread": {"num_envs": 16, "num_threads": 1},
        "16 envs, 2 threads": {"num_envs": 16, "num_threads": 2},
        "256 envs, 1 thread": {"num_envs": 256, "num_threads": 1},
        "256 envs, 2 threads": {"num_envs": 256, "num_threads": 2},
        "16 envs, 1 thread, sticky": {
            "num_envs": 16, "num_threads": 1, "repeat_action_probability": 0.25,
        },
        "16 envs, 1 thread, max-pool": {"num_envs": 16, "num_threads": 1, "max_pool": True},
    }  # fmt: skip
    results = []
    for _ in range(rounds):
        ours = {name: rate(seconds=seconds, **setting) for name, setting in settings.items()}
        results.append((peer.measure(seconds)["agent_steps"], ours))
    peer.close()
    usual = statistics.median(theirs for theirs, _ in results)
    print(f"median of {rounds} rounds of {seconds:g} s each; the usual stack: {usual:.0f} steps/s")
    print(f"{'':28} {'agent steps/s':>14} {'ratio':>7} {'to 1 thread':>12} {'outside core':>13}")
    for name in settings:
        value = statistics.median(ours[name][0] for _, ours in results)
        ratio = statistics.median(ours[name][0] / theirs for theirs, ours in results)
        outside = statistics.median(ours[name][1] for _, ours in results)
        alone = name.replace("2 threads", "1 thread")
        scale = statistics.median(ours[name][0] / ours[alone][0] for _, ours in results)
        print(f"{name:28} {value:14,.0f} {ratio:7.1f} {scale:12.2f} {outside:13.1%}")
    took, memory = creation(256)
    print(f"256 environments: first observation after {took:.3f} s; {memory / 1000:.1f} kB each")
    print("beyond observations")
