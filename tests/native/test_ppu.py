from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

from mario_envkit.emulator.native import NativeEmulator
from mario_envkit.emulator.picture import Picture
from tests.native.scenes import random_scene, show

# Slots as grey values: the picture as the PPU composes it.
SLOTS = Picture(grayscale=True, palette=tuple(range(32)))
FRAMES = 8
TIMINGS: tuple[Literal["console", "nes-py"], ...] = ("console", "nes-py")


@pytest.mark.parametrize("seed", range(14))
def test_still_picture_as_the_model(seed: int) -> None:
    scene = random_scene(seed)
    expected = scene.slots()
    for timing in TIMINGS:
        emulator = NativeEmulator(show(scene), timing=timing)
        emulator.step(0, FRAMES)
        if timing == "nes-py" and scene.mask & 0x18 not in (0x18, 0):
            continue  # there nothing resets the scroll unless both layers are on
        assert np.array_equal(emulator.observe(SLOTS), expected), timing


def test_sprites_below_the_screen_are_on_row_0_in_nes_py_only() -> None:
    scene = random_scene(3)
    oam = bytearray(scene.oam)
    oam[0::4] = bytes([235] * 64)
    scene = replace(scene, oam=bytes(oam), mask=0x1E, ctrl=0)
    rows = []
    for timing in TIMINGS:
        emulator = NativeEmulator(show(scene), timing=timing)
        emulator.step(0, FRAMES)
        rows.append(emulator.observe(SLOTS)[0])
    assert (rows[0] < 16).all()
    assert (rows[1] >= 16).any()


# LDA $2002, AND #mask, branch back: with #$40 the machine recognises the wait and skips it.
KNOWN = bytes([0xAD, 0x02, 0x20, 0x29, 0x40, 0x00, 0xF9])
OTHER = bytes([0xAD, 0x02, 0x20, 0x29, 0x60, 0x00, 0xF9])


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("timing", TIMINGS)
def test_skipping_the_wait_for_sprite_0_changes_nothing(seed: int, timing: str) -> None:
    scene = replace(random_scene(seed), mask=0x1E)
    runs = []
    for wait in (KNOWN, OTHER):
        emulator = NativeEmulator(show(scene, wait=wait), timing=timing)  # type: ignore[arg-type]
        states = []
        for frame in range(16):
            emulator.step(0, render=frame % 3 == 0)
            state = bytearray(emulator.save().data)
            states.append(bytes(state))
        runs.append(states)
    assert runs[0] == runs[1]
    counted = runs[0][-1][1 + 4436 + 0x10]
    hit = scene.first_hit()
    if timing == "console":
        assert (counted > 5) == (hit is not None)


def test_power_on_picture_is_black() -> None:
    emulator = NativeEmulator(show(random_scene(0)))
    assert not emulator.screen().any()
    emulator.step(0, FRAMES)
    assert emulator.screen().any()
    emulator.reset()
    assert not emulator.screen().any()
