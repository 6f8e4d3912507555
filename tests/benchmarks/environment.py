"""Environment speed against gym-super-mario-bros 7.4, turn by turn in one run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

import mario_envkit  # noqa: F401
from mario_envkit.emulator.backends import available_backends

from .peers import Gym74


def rate(env: gymnasium.Env[Any, Any], pick: Callable[[], int], seconds: float) -> float:
    """Steps a second of random play."""
    steps, over = 0, True
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        for _ in range(25):
            if over:
                env.reset()
            _, _, terminated, truncated, _ = env.step(pick())
            over = terminated or truncated
            steps += 1
    return steps / (time.perf_counter() - start)


def main(seconds: float = 2.0, rounds: int = 5) -> None:
    """Print medians, and medians of the ratios taken round by round."""
    rng = np.random.default_rng(0)
    peer = Gym74()
    ours: dict[str, Callable[[], dict[str, float]]] = {}
    for backend in available_backends():
        raw = gymnasium.make("Mario-v0", backend=backend)
        train = gymnasium.make("MarioTrain-v0", backend=backend)

        def measure(raw: Any = raw, train: Any = train) -> dict[str, float]:
            return {
                "frames": rate(raw, lambda: int(rng.choice([128, 129, 130, 131])), seconds),
                "agent_steps": rate(train, lambda: int(rng.integers(1, 5)), seconds),
            }

        ours[backend] = measure
    results: list[dict[str, dict[str, float]]] = []
    for _ in range(rounds):
        round_ = {name: measure() for name, measure in ours.items()}
        results.append({**round_, "gym 7.4": peer.measure(seconds)})
    peer.close()
    print(f"median of {rounds} rounds of {seconds:g} s each; ratio to gym-super-mario-bros 7.4")
    print(f"{'':12} {'frames/s':>12} {'ratio':>7} {'agent steps/s':>14} {'ratio':>7}")
    for name in results[0]:
        row = f"{name:12}"
        for figure, width in (("frames", 12), ("agent_steps", 14)):
            value = statistics.median(r[name][figure] for r in results)
            ratio = statistics.median(r[name][figure] / r["gym 7.4"][figure] for r in results)
            row += f" {value:{width},.0f} {ratio:7.2f}"
        print(row)
