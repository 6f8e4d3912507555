"""What snapshots cost: a save and a restore through the whole stack, and the books of a step."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gymnasium
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


class Race:
    """Vectors that play the same random actions in turns, so that a busy machine slows all."""

    def __init__(
        self, num_envs: int, num_threads: int, actions: range, **kinds: dict[str, Any]
    ) -> None:
        self._actions = np.random.default_rng(0).choice(actions, (1024, num_envs))
        self._envs = {
            name: gymnasium.make_vec(num_envs=num_envs, num_threads=num_threads, **kind)
            for name, kind in kinds.items()
        }
        for env in self._envs.values():
            env.reset(seed=0)

    def play(self, name: str, steps: int) -> tuple[float, float]:
        """Agent steps a second, and seconds of processor time of all threads."""
        env = self._envs[name]
        start, busy = time.perf_counter(), time.process_time()
        for number in range(steps):
            env.step(self._actions[number % 1024])
        seconds, busy = time.perf_counter() - start, time.process_time() - busy
        return steps * env.num_envs / seconds, busy

    def close(self) -> None:
        for env in self._envs.values():
            env.close()


PLAYERS = {"any action": range(7), "always right": range(1, 5)}
"""The second dies every 50 steps or so, and with snapshots it gets to where more is going on, so
that the games themselves take longer."""


def vectors(num_threads: int, player: str, steps: int = 300, rounds: int = 15) -> None:
    """Print what snapshots leave of the plain vector's speed."""
    race = Race(
        16,
        num_threads,
        PLAYERS[player],
        plain={"id": "MarioTrain-v0"},
        in_episode={"id": "MarioSnapshot-v0"},
        on_reset={"id": "MarioSnapshot-v0", "restore": "on_reset"},
    )
    results: dict[str, list[tuple[float, float]]] = {}
    for _ in range(rounds):
        for name in ("plain", "in_episode", "on_reset"):
            results.setdefault(name, []).append(race.play(name, steps))
    race.close()
    for name, played in results.items():
        pairs = list(zip(played, results["plain"], strict=True))
        rate = statistics.median(ours for (ours, _), _ in pairs)
        kept = statistics.median(ours / plain for (ours, _), (plain, _) in pairs)
        work = statistics.median(ours / plain for (_, ours), (_, plain) in pairs)
        print(
            f"16 envs, {num_threads} thread(s), {player}, {name:10} {rate:8,.0f} agent steps/s, "
            f"{kept:.3f} of plain; processor time {work:.3f} of plain"
        )


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
    for num_threads in (1, 2):
        for player in PLAYERS:
            vectors(num_threads, player)
