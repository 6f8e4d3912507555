from __future__ import annotations

import gc
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mario_envkit.emulator.native import NativeEmulator
from mario_envkit.emulator.picture import Picture, render
from mario_envkit.emulator.protocol import Emulator
from mario_envkit.emulator.snapshot import Snapshot
from mario_envkit.errors import (
    BackendUnavailable,
    EmulatorClosed,
    OptionError,
    RomError,
    SnapshotMismatch,
)
from tests.lockstep.references import VANILLA, ReferenceMissingError, rom_path
from tests.lockstep.runs import Play
from tests.native.scenes import random_scene, show

TIMINGS: tuple[str, ...] = ("console", "nes-py")
STILL = show(random_scene(1))


def game() -> bytes:
    """The game if it is installed; a still picture otherwise."""
    try:
        return rom_path(VANILLA).read_bytes()
    except ReferenceMissingError:
        return STILL


def played(timing: str, frames: int, seed: int = 0) -> NativeEmulator:
    emulator, play = NativeEmulator(game(), timing=timing), Play(seed)
    for _ in range(frames):
        emulator.step(play.next(emulator.ram), render=False)
    return emulator


def test_is_an_emulator() -> None:
    emulator = NativeEmulator(STILL, timing="nes-py")
    assert isinstance(emulator, Emulator)
    assert emulator.core == "native/nes-py"
    assert NativeEmulator(STILL).core == "native/console"


@pytest.mark.parametrize("timing", TIMINGS)
def test_a_frame_not_drawn_has_the_same_picture(timing: str) -> None:
    lazy, eager = played(timing, 300), played(timing, 300)
    play, chance = Play(7), random.Random(7)
    for _ in range(300):
        buttons = play.next(lazy.ram)
        lazy.step(buttons, render=False)
        eager.step(buttons, render=True)
        if chance.random() < 0.3:
            assert np.array_equal(lazy.screen(), eager.screen())
        assert lazy.save() == eager.save()


@pytest.mark.parametrize("timing", TIMINGS)
def test_the_picture_leaves_pokes_alone(timing: str) -> None:
    emulator = played(timing, 200)
    drawn = played(timing, 200)
    emulator.ram[0x075A] = 77
    assert np.array_equal(emulator.screen(), drawn.screen())
    assert emulator.ram[0x075A] == 77


@pytest.mark.parametrize("timing", TIMINGS)
def test_a_loaded_machine_goes_on_the_same_way(timing: str) -> None:
    first = played(timing, 400)
    snapshot = Snapshot.from_bytes(first.save().to_bytes())
    second = played(timing, 30, seed=5)
    second.load(snapshot)
    assert np.array_equal(second.screen(), first.screen())
    assert second.save() == snapshot
    play = Play(9)
    for frame in range(400):
        buttons = play.next(first.ram)
        first.step(buttons, render=frame % 7 == 0)
        second.step(buttons, render=frame % 5 == 0)
        assert np.array_equal(first.ram, second.ram)
    assert np.array_equal(second.screen(), first.screen())
    assert first.save() == second.save()


def test_many_frames_in_one_step() -> None:
    one, many = NativeEmulator(game()), NativeEmulator(game())
    for _ in range(90):
        one.step(8)
    many.step(8, 90)
    assert one.save() == many.save()
    one.reset()
    many = NativeEmulator(game())
    assert one.save() == many.save()


@pytest.mark.parametrize("timing", TIMINGS)
@pytest.mark.parametrize("grayscale", [True, False])
@pytest.mark.parametrize("crop_top", [0, 7, 32])
@pytest.mark.parametrize(
    "size",
    [None, (84, 84), (42, 60), (83, 97), (1, 1), (1, 256), (120, 256), (208, 255), (13, 200)],
)
def test_observations_as_picture_py_defines_them(
    timing: str, grayscale: bool, size: tuple[int, int] | None, crop_top: int
) -> None:
    emulator = played(timing, 350)
    picture = Picture(size, grayscale, crop_top)
    for _ in range(3):
        emulator.step(0x82, 11, render=False)
        expected = render(emulator.screen(), picture)
        assert np.array_equal(emulator.observe(picture), expected)
        into = np.zeros((2, *picture.shape), np.uint8)
        assert emulator.observe(picture, into[1]).base is into
        assert np.array_equal(into[1], expected)
        assert not into[0].any()


@given(
    height=st.integers(1, 240),
    width=st.integers(1, 256),
    crop=st.integers(0, 239),
    seed=st.integers(0, 9),
)
@settings(max_examples=60)
def test_observations_of_any_size(height: int, width: int, crop: int, seed: int) -> None:
    height = min(height, 240 - crop)
    emulator = NativeEmulator(show(random_scene(seed % 3)))
    emulator.step(0, 8)
    for grayscale in (True, False):
        picture = Picture((height, width), grayscale, crop)
        assert np.array_equal(emulator.observe(picture), render(emulator.screen(), picture))


def test_palette_tables() -> None:
    scene = replace(random_scene(2), mask=0x1E)
    emulator = NativeEmulator(show(scene))
    emulator.step(0, 8)
    slots = emulator.observe(Picture(grayscale=True, palette=tuple(range(32))))
    assert np.array_equal(slots, scene.slots())
    table = tuple((i * 7 + 3) % 256 for i in range(32))
    grey = emulator.observe(Picture(grayscale=True, palette=table))
    assert np.array_equal(grey, np.array(table, np.uint8)[slots])
    red = emulator.screen()[:, :, 0].astype(int)
    layers = np.where(slots >= 16, 150 + red * 6 // 16, 30 + red * 7 // 16)
    contrast = emulator.observe(Picture(grayscale=True, palette="contrast"))
    assert np.array_equal(contrast, np.where(slots == 0, 0, layers))


def test_palettes_are_checked() -> None:
    for palette in ("dark", (1, 2), tuple([256] * 32), tuple([-1] * 32)):
        with pytest.raises(OptionError):
            Picture(grayscale=True, palette=palette)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="grayscale"):
        Picture(palette="contrast")
    with pytest.raises(BackendUnavailable, match="native"):
        render(np.zeros((240, 256, 3), np.uint8), Picture(grayscale=True, palette="contrast"))


def test_out_arrays() -> None:
    emulator = played("console", 250)
    expected = emulator.screen()
    out = np.zeros((240, 256, 3), np.uint8)
    assert emulator.screen(out) is out
    assert np.array_equal(out, expected)
    strided = np.zeros((240, 512, 3), np.uint8)[:, ::2]
    emulator.screen(strided)
    assert np.array_equal(strided, expected)
    for wrong in (np.zeros((240, 256), np.uint8), np.zeros((240, 256, 3), np.int16)):
        with pytest.raises(OptionError, match="out has"):
            emulator.screen(wrong)  # type: ignore[arg-type]
    frozen = np.zeros((240, 256, 3), np.uint8)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        emulator.screen(frozen)


def test_ram_is_live_and_outlives_the_emulator() -> None:
    emulator = played("console", 250)
    ram = emulator.ram
    assert ram.shape == (2048,)
    assert ram.dtype == np.uint8
    ram[0x10] = 5
    assert emulator.ram[0x10] == 5
    before = emulator.save()
    ram[:] = 9
    emulator.load(before)
    assert ram[0x10] == 5
    emulator.close()
    emulator.close()
    del emulator
    gc.collect()
    ram[:] = 3
    assert ram.sum() == 3 * 2048


def test_closed() -> None:
    emulator = NativeEmulator(STILL)
    emulator.close()
    for use in (emulator.reset, emulator.save, emulator.screen, lambda: emulator.step(0)):
        with pytest.raises(EmulatorClosed):
            use()


def test_bad_steps() -> None:
    emulator = NativeEmulator(STILL)
    for buttons, frames in ((-1, 1), (256, 1), (0, 0), (0, -5)):
        with pytest.raises(OptionError):
            emulator.step(buttons, frames)
    with pytest.raises(OptionError, match="timing"):
        NativeEmulator(STILL, timing="pal")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (b"", "not an iNES"),
        (b"NES\x1a" + bytes(4), "not an iNES"),
        (STILL[:-1], "truncated"),
        (STILL[:4] + b"\x03" + STILL[5:], "program banks"),
        (STILL[:5] + b"\x00" + STILL[6:], "pattern banks"),
        (STILL[:6] + b"\x11" + STILL[7:], "mapper 1"),
        (STILL[:6] + b"\x04" + STILL[7:], "trainer"),
        (STILL[:6] + b"\x08" + STILL[7:], "four-screen"),
        (STILL[:6] + b"\x02" + STILL[7:], "battery"),
    ],
)
def test_bad_cartridges(image: bytes, says: str) -> None:
    with pytest.raises(RomError, match=says):
        NativeEmulator(image)


def test_foreign_snapshots_are_refused() -> None:
    emulator = NativeEmulator(STILL)
    emulator.step(0, 20)
    other_timing = NativeEmulator(STILL, timing="nes-py").save()
    other_game = NativeEmulator(show(random_scene(2))).save()
    whole = emulator.save()
    for bad in (
        other_timing,
        other_game,
        replace(whole, data=whole.data[:-1]),
        replace(whole, data=whole.data + b"\0"),
        replace(whole, data=b""),
        replace(whole, data=b"\xff" + whole.data[1:]),
        replace(whole, data=whole.data[:1] + b"\xff" * (len(whole.data) - 1)),
    ):
        with pytest.raises(SnapshotMismatch):
            emulator.load(bad)
        assert emulator.save() == whole


@given(data=st.data())
@settings(max_examples=150)
def test_damaged_snapshots_do_no_harm(data: st.DataObject) -> None:
    """What is refused changes nothing; what passes runs."""
    emulator = NativeEmulator(game())
    emulator.step(8, 40)
    whole = emulator.save()
    raw = bytearray(whole.data)
    for _ in range(data.draw(st.integers(1, 20))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        emulator.load(replace(whole, data=bytes(raw)))
    except SnapshotMismatch:
        assert emulator.save() == whole
    else:
        assert emulator.save().data == bytes(raw)
    emulator.step(data.draw(st.integers(0, 255)), 3, render=False)
    emulator.screen()


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_random_pokes_and_buttons_do_no_harm(seed: int) -> None:
    rng = np.random.default_rng(seed)
    emulator = NativeEmulator(game(), timing=TIMINGS[seed % 2])
    for _ in range(120):
        emulator.ram[rng.integers(0, 2048, 5)] = rng.integers(0, 256, 5)
        emulator.step(int(rng.integers(0, 256)), int(rng.integers(1, 4)), render=False)
    emulator.screen()
