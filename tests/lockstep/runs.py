"""Two emulators, the same buttons, every frame compared."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mario_envkit.emulator.native import NativeEmulator
from tests.lockstep.references import Cynes, NesPy, StableRetro, rom_path

# Where the game keeps what players and agents see (SMB disassembly by doppelganger).
FRAME_COUNTER = 0x09
GAME_MODE = 0x0770
LIVES = 0x075A
RELEVANT = np.array(
    [
        *(0x0009, 0x000E, 0x001D, 0x0033, 0x0045, 0x0057, 0x006D, 0x0086, 0x009F, 0x00B5, 0x00CE),
        *range(0x000F, 0x001B),  # enemies: active, kind
        *range(0x006E, 0x0073),  # their pages
        *range(0x0087, 0x008C),  # their x
        *range(0x00CF, 0x00D4),  # their y
        *(0x071A, 0x071B, 0x071C, 0x071D, 0x0754, 0x0756, 0x0770, 0x0772, 0x0778),
        *range(0x075A, 0x0761),  # lives, coins, world, stage
        *range(0x07A7, 0x07AE),  # the game's random numbers
        *range(0x07DD, 0x07E3),  # score
        *range(0x07ED, 0x07EF),  # coins shown
        *range(0x07F8, 0x07FB),  # clock
    ]
)


class Reference(Protocol):
    def step(self, buttons: int) -> None: ...
    @property
    def ram(self) -> NDArray[np.uint8]: ...


@dataclass
class Outcome:
    """What a run found; ``first``: the first difference in words."""

    name: str
    frames: int = 0
    ram_different: int = 0
    pictures: int = 0
    pictures_different: int = 0
    deaths: int = 0
    first: str = ""
    what: str = "RAM"
    _lives: int = field(default=-1, repr=False)

    @property
    def ok(self) -> bool:
        return self.frames > 0 and not self.ram_different and not self.pictures_different

    def __str__(self) -> str:
        text = (
            f"{self.name}: {self.what} equal on {self.frames - self.ram_different} of {self.frames}"
        )
        text += f" frames, {self.deaths} deaths"
        if self.pictures:
            equal = self.pictures - self.pictures_different
            text += f", pictures equal on {equal} of {self.pictures}"
        return text + (f"; first difference: {self.first}" if self.first else "")

    def compare(
        self,
        expected: NDArray[np.uint8],
        actual: NDArray[np.uint8],
        addresses: NDArray[np.int64] | None = None,
    ) -> None:
        """Compare memory (whole, or at some addresses) after a frame."""
        self.frames += 1
        lives = int(actual[LIVES])
        self.deaths += lives == self._lives - 1
        self._lives = lives
        where = np.flatnonzero(expected != actual)
        if addresses is not None:
            where = np.intersect1d(where, addresses)
        if where.size:
            self.ram_different += 1
            at = int(where[0])
            self.note(f"frame {self.frames}, ${at:04x} is {actual[at]}, not {expected[at]}")

    def compare_pictures(self, expected: NDArray[np.uint8], actual: NDArray[np.uint8]) -> None:
        self.pictures += 1
        where = np.argwhere((expected != actual).any(axis=2))
        if where.size:
            self.pictures_different += 1
            self.note(f"frame {self.frames}, {len(where)} pixels, first at {where[0].tolist()}")

    def note(self, text: str) -> None:
        self.first = self.first or text


class Play:
    """Somebody who starts the game and runs and jumps at random, mostly to the right."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._buttons, self._left, self._frame = 0, 0, 0

    def next(self, ram: NDArray[np.uint8]) -> int:
        self._frame += 1
        if ram[GAME_MODE] == 0:
            return 8 if self._frame % 16 < 4 else 0
        if self._left == 0:
            right, left, down, run, jump = 0x80, 0x40, 0x20, 0x02, 0x01
            moves = [right, right | run, right | run | jump, right | jump, left, jump, 0, down]
            self._buttons = self._random.choices(moves, [4, 6, 8, 4, 1, 1, 1, 1])[0]
            self._left = self._random.randint(2, 30)
        self._left -= 1
        return self._buttons


def against_nes_py(
    rom_sha256: str,
    frames: int,
    *,
    seed: int = 0,
    pictures_every: int = 1,
    stage: tuple[int, int] | None = None,
) -> Outcome:
    """``nes-py`` timing against nes-py 8.2: all of RAM, and whole pictures."""
    rom = rom_path(rom_sha256)
    reference, native = NesPy(rom), NativeEmulator(rom.read_bytes(), timing="nes-py")
    name = f"nes-py, {rom_sha256[:8]}" + (f", {stage[0]}-{stage[1]}" if stage else "")
    outcome, play, rng = Outcome(name), Play(seed), random.Random(seed)
    ram = native.ram
    for frame in range(frames):
        buttons = play.next(reference.ram)
        reference.step(buttons)
        native.step(buttons, render=rng.random() < 0.5)
        outcome.compare(reference.ram, ram)
        if frame % pictures_every == 0:
            outcome.compare_pictures(reference.screen(), native.screen())
        if stage is not None and frame < 200:
            # As gym-super-mario-bros does: world, stage and area at the start screen.
            area = stage[1] - 1 + (stage[0] in (1, 2, 4, 7) and stage[1] >= 2)
            for memory in (reference.ram, ram):
                if memory[GAME_MODE] == 0:
                    memory[[0x075F, 0x075C, 0x0760]] = stage[0] - 1, stage[1] - 1, area
    reference.close()
    return outcome


def align(reference: Reference, native: NativeEmulator, counter: int = 5) -> None:
    """Bring both to the same value of the game's own frame counter, soon after power-on."""
    emulators: tuple[Reference, Reference] = (reference, native)
    for emulator in emulators:
        for _ in range(60):
            emulator.step(0)
            if emulator.ram[FRAME_COUNTER] == counter:
                break
        else:
            raise AssertionError(f"the frame counter never reached {counter}")


def _against_console(
    name: str,
    reference: Reference,
    rom: bytes,
    frames: int,
    seed: int,
    addresses: NDArray[np.int64] | None,
) -> Outcome:
    native = NativeEmulator(rom, timing="console")
    align(reference, native)
    outcome, play = Outcome(name), Play(seed)
    if addresses is not None:
        outcome.what = f"{len(addresses)} game variables"
    ram = native.ram
    for _ in range(frames):
        buttons = play.next(ram)
        reference.step(buttons)
        native.step(buttons, render=False)
        outcome.compare(reference.ram, ram, addresses)
    return outcome


def against_cynes(rom_sha256: str, frames: int, *, seed: int = 0) -> Outcome:
    """``console`` timing against cynes: all of RAM."""
    rom = rom_path(rom_sha256)
    name = f"cynes, {rom_sha256[:8]}"
    return _against_console(name, Cynes(rom), rom.read_bytes(), frames, seed, None)


def against_stable_retro(rom_sha256: str, frames: int, *, seed: int = 0) -> Outcome:
    """``console`` timing against stable-retro: what the game keeps of players, enemies and score.

    Not all of RAM: FCEUmm powers on with another pattern in it, and the game never writes all.
    """
    rom = rom_path(rom_sha256)
    name = f"stable-retro, {rom_sha256[:8]}"
    return _against_console(name, StableRetro(rom), rom.read_bytes(), frames, seed, RELEVANT)


def all_ok(outcomes: Iterable[Outcome]) -> bool:
    """Prints every outcome; whether all are without difference."""
    good = True
    for outcome in outcomes:
        print(outcome, flush=True)
        good &= outcome.ok
    return good
