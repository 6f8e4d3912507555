"""Speed of the native console and its peers: ``python -m tests.benchmarks.emulator``.

All in one run, on one core, in 1-1 in play, the same buttons for each. Every figure is the best of
several rounds taken in turns, so that what else the machine does weighs on all of them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from time import perf_counter

import numpy as np

from mario_envkit.emulator.native import NativeEmulator, Timing
from mario_envkit.emulator.picture import Picture
from tests.lockstep.references import (
    VANILLA,
    Cynes,
    NesPy,
    ReferenceMissingError,
    StableRetro,
    rom_path,
)

RIGHT_AND_RUN = 0x82
START_UP = [0] * 40 + [8] * 10 + [0] * 170
IN_PLAY = 100  # frames
OBSERVATION = Picture((84, 84), grayscale=True)


def native_frames(timing: Timing, render: bool, runs: int = 12) -> Callable[[], float]:
    """Frames a second, from the start of 1-1 until short of the first enemy, again and again."""
    emulator = NativeEmulator(rom_path(VANILLA).read_bytes(), timing=timing)
    for buttons in START_UP:
        emulator.step(buttons, render=False)
    start = emulator.save()

    def measure() -> float:
        begin = perf_counter()
        for _ in range(runs):
            emulator.load(start)
            for _ in range(IN_PLAY if render else 1):
                emulator.step(RIGHT_AND_RUN, 1 if render else IN_PLAY, render=render)
        return runs * IN_PLAY / (perf_counter() - begin)

    return measure


def peer_frames(peer: type[NesPy | Cynes | StableRetro], frames: int) -> Callable[[], float]:
    emulator = peer(rom_path(VANILLA))
    for buttons in START_UP:
        emulator.step(buttons)

    def measure() -> float:
        begin = perf_counter()
        for _ in range(frames):
            emulator.step(RIGHT_AND_RUN)
        return frames / (perf_counter() - begin)

    return measure


def native_microseconds(what: str) -> Callable[[], float]:
    """Calls a second of one operation."""
    emulator = NativeEmulator(rom_path(VANILLA).read_bytes())
    for buttons in START_UP:
        emulator.step(buttons)
    snapshot = emulator.save()
    out = np.empty(OBSERVATION.shape, np.uint8)
    screen = np.empty((240, 256, 3), np.uint8)
    operations: dict[str, Callable[[], object]] = {
        "save": emulator.save,
        "load": lambda: emulator.load(snapshot),
        "observe 84x84": lambda: emulator.observe(OBSERVATION, out),
        "screen": lambda: emulator.screen(screen),
    }
    operation = operations[what]

    def measure() -> float:
        begin = perf_counter()
        for _ in range(500):
            operation()
        return 500 / (perf_counter() - begin)

    return measure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    speeds: dict[str, Callable[[], float]] = {
        "native/console, nothing drawn": native_frames("console", False),
        "native/nes-py, nothing drawn": native_frames("nes-py", False),
        "native/console, every frame drawn": native_frames("console", True),
        "native/nes-py, every frame drawn": native_frames("nes-py", True),
    }
    for name, peer in (("nes-py 8.2", NesPy), ("cynes", Cynes), ("stable-retro", StableRetro)):
        try:
            speeds[name] = peer_frames(peer, 60)
        except ReferenceMissingError as missing:
            print(f"{name}: not measured, because this is not installed: {missing}")
    calls = {
        what: native_microseconds(what) for what in ("save", "load", "observe 84x84", "screen")
    }
    best: dict[str, float] = dict.fromkeys([*speeds, *calls], 0.0)
    for _ in range(rounds):
        for name, measure in [*speeds.items(), *calls.items()]:
            best[name] = max(best[name], measure())
    print(f"{'':36}{'frames/s':>12}{'x nes-py':>10}")
    for name in speeds:
        times = f"{best[name] / best['nes-py 8.2']:10.1f}" if "nes-py 8.2" in best else ""
        print(f"{name:36}{best[name]:12,.0f}{times}")
    print(f"{'':36}{'microseconds from Python':>24}")
    for name in calls:
        print(f"{name:36}{1e6 / best[name]:24.2f}")


if __name__ == "__main__":
    main()
