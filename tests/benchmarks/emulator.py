"""Speed of the native console and its peers: ``python -m tests.benchmarks emulator``.

All in one run, on one core, in 1-1 in play, the same buttons for each. Every figure is the best of
several rounds taken in turns, so that what else the machine does weighs on all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import numpy as np

from mario_envkit.emulator.native import NativeEmulator
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
ROUNDS = 7
PEER_FRAMES = 60  # a round
IN_PLAY = ROUNDS * PEER_FRAMES  # so that all play the same: run, die, come back, run
OBSERVATION = Picture((84, 84), grayscale=True)


def native_frames(timing: str, render: bool, runs: int = 3) -> Callable[[], float]:
    """Frames a second over the same frames that the peers play, again and again."""
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
    """Print frames/s of all, and what the calls of the native console cost."""
    speeds: dict[str, Callable[[], float]] = {
        "native/console, nothing drawn": native_frames("console", False),
        "native/nes-py, nothing drawn": native_frames("nes-py", False),
        "native/console, every frame drawn": native_frames("console", True),
        "native/nes-py, every frame drawn": native_frames("nes-py", True),
    }
    for name, peer in (("nes-py 8.2", NesPy), ("cynes", Cynes), ("stable-retro", StableRetro)):
        try:
            speeds[name] = peer_frames(peer, PEER_FRAMES)
        except ReferenceMissingError as missing:
            print(f"{name}: not measured, because this is not installed: {missing}")
    calls = {
        what: native_microseconds(what) for what in ("save", "load", "observe 84x84", "screen")
    }
    best: dict[str, float] = dict.fromkeys([*speeds, *calls], 0.0)
    for _ in range(ROUNDS):
        for name, measure in [*speeds.items(), *calls.items()]:
            best[name] = max(best[name], measure())
    peers = [name for name in ("nes-py 8.2", "stable-retro") if name in best]
    print(f"{'':36}{'frames/s':>12}" + "".join(f"{'x ' + peer:>16}" for peer in peers))
    for name in speeds:
        times = "".join(f"{best[name] / best[peer]:16.1f}" for peer in peers)
        print(f"{name:36}{best[name]:12,.0f}{times}")
    print(f"{'':36}{'microseconds from Python':>24}")
    for name in calls:
        print(f"{name:36}{1e6 / best[name]:24.2f}")
