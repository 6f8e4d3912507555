"""What snapshots cost: a save and a restore through the whole stack, and the books of a step."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from mario_envkit.registration import TRAIN_DEFAULTS, make_mario
from mario_envkit.snapshots import Context, SnapshotMarioEnvironment, create_snapshot_mario_env


def microseconds(call: Callable[[], object], times: int, rounds: int = 5) -> float:
    """Median over ``rounds`` of a call's mean duration."""
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(times):
            call()
        seconds.append((time.perf_counter() - start) / times)
    return statistics.median(seconds) * 1e6


def _walk(env: Any, actions: list[int]) -> float:
    """Seconds of playing ``actions``, resets included."""
    env.reset(seed=0)
    start = time.perf_counter()
    for action in actions:
        _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            env.reset()
    return time.perf_counter() - start


def _books(env: SnapshotMarioEnvironment) -> Callable[[], object]:
    """The handler's share of a step in which nothing happens, while a hotspot is known."""
    env.reset(seed=0)
    for _ in range(5):
        env.handler.hotspots.record_death("1-1", 700)
    observation, *_, info = env.step(1)
    return lambda: env.handler.after_step(observation, info, terminated=False, truncated=False)


def main(times: int = 2000, steps: int = 3000, rounds: int = 5) -> None:
    """Print one table."""
    env = make_mario(**TRAIN_DEFAULTS)
    env.reset(seed=0)
    for _ in range(10):
        env.step(1)
    context = Context(env)
    emulator: Any = env.unwrapped.emulator  # type: ignore[attr-defined]
    saved, console = context.save(), emulator.save()
    rows = {
        "console: save": microseconds(emulator.save, times),
        "console: load": microseconds(lambda: emulator.load(console), times),
        "whole stack: save": microseconds(context.save, times),
        "whole stack: restore": microseconds(lambda: context.load(saved), times),
        "handler, a quiet step": microseconds(_books(create_snapshot_mario_env()), times),
    }
    practising = create_snapshot_mario_env(checkpoint_interval=100)
    _walk(practising, [1, 2, 3, 4] * 200)
    with TemporaryDirectory() as directory:
        start = time.perf_counter()
        practising.handler.archive.save(Path(directory))
        rows["archive: a file"] = (
            (time.perf_counter() - start) * 1e6 / len(practising.handler.archive)
        )
    for name, value in rows.items():
        print(f"{name:24} {value:10.1f} us")
    actions = np.random.default_rng(0).integers(1, 5, steps).tolist()
    ratios = []
    for _ in range(rounds):
        plain = _walk(make_mario(**TRAIN_DEFAULTS), actions)
        ratios.append(_walk(create_snapshot_mario_env(), actions) / plain)
    print(f"{'a step, to one without':24} {statistics.median(ratios):10.2f} times as long")
