"""What every backend must do, as checks that a test suite can call one by one."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import numpy as np

from mario_envkit.emulator.buttons import Buttons
from mario_envkit.emulator.picture import Picture, render
from mario_envkit.emulator.protocol import RAM_SIZE, SCREEN_HEIGHT, SCREEN_WIDTH, Emulator
from mario_envkit.emulator.snapshot import Snapshot
from mario_envkit.errors import EmulatorClosed, SnapshotMismatch

MakeEmulator = Callable[[], Emulator]
"""Powers on a console with the same cartridge every time."""


def history(emulator: Emulator, frames: int, seed: int = 0) -> list[bytes]:
    """RAM after each of ``frames`` frames of random buttons, with a write now and then."""
    rng = np.random.default_rng(seed)
    seen = []
    for frame in range(frames):
        if frame % 40 == 7:
            emulator.ram[0x07A0] = 0  # a timer of the game: a write that it survives
        emulator.step(int(rng.choice([Buttons.RIGHT, Buttons.A, Buttons.START, Buttons.NOOP])))
        seen.append(emulator.ram.tobytes())
    return seen


def check_shapes(make: MakeEmulator) -> None:
    """Pictures and memory have the promised shapes; pictures are copies, memory is live."""
    emulator = make()
    emulator.step(Buttons.NOOP, 40)
    first = emulator.screen()
    assert first.shape == (SCREEN_HEIGHT, SCREEN_WIDTH, 3)
    assert first.dtype == np.uint8
    before = first.copy()
    emulator.step(Buttons.START, 30)
    assert np.array_equal(first, before), "screen() must be a copy"
    out = np.empty_like(first)
    assert emulator.screen(out) is out
    assert np.array_equal(out, emulator.screen())
    ram = emulator.ram
    assert ram.shape == (RAM_SIZE,)
    assert ram.dtype == np.uint8
    ram[0x0700] = 123
    assert emulator.ram[0x0700] == 123


def check_determinism(make: MakeEmulator) -> None:
    """Two consoles, and one console powered on twice, do the same."""
    first, second = make(), make()
    expected = history(first, 200)
    assert history(second, 200) == expected
    first.reset()
    assert history(first, 200) == expected


def check_frames(make: MakeEmulator) -> None:
    """``step(b, n)`` is ``n`` times ``step(b)``, drawn or not."""
    one, many = make(), make()
    for buttons in (Buttons.NOOP, Buttons.START, Buttons.RIGHT):
        for _ in range(30):
            one.step(buttons, render=False)
        many.step(buttons, 30)
    assert one.ram.tobytes() == many.ram.tobytes()
    assert np.array_equal(one.screen(), many.screen()), "render=False is a hint, never visible"


def check_snapshots(make: MakeEmulator) -> None:
    """A snapshot brings the future back, here, elsewhere, after pickling, any number at once."""
    emulator = make()
    history(emulator, 60)
    snapshots, futures = [], []
    for seed in range(3):
        snapshots.append(emulator.save())
        futures.append(history(emulator, 50, seed))
    for index in (2, 0, 1, 0, 2):
        emulator.load(snapshots[index])
        assert history(emulator, 50, index) == futures[index]
    other = make()
    for copy in (
        pickle.loads(pickle.dumps(snapshots[1])),
        Snapshot.from_bytes(snapshots[1].to_bytes()),
    ):
        assert copy == snapshots[1]
        other.load(copy)
        assert history(other, 50, 1) == futures[1]


def check_foreign_snapshots(make: MakeEmulator) -> None:
    """Snapshots of other machines and damaged ones are refused, and change nothing."""
    emulator = make()
    emulator.step(Buttons.NOOP, 50)
    good = emulator.save()
    before = emulator.ram.tobytes()
    bad = [
        Snapshot("another core", good.rom_sha256, good.data),
        Snapshot(good.core, "00" * 32, good.data),
        Snapshot(good.core, good.rom_sha256, good.data[:-1]),
        Snapshot(good.core, good.rom_sha256, b""),
    ]
    for snapshot in bad:
        try:
            emulator.load(snapshot)
        except SnapshotMismatch:
            assert emulator.ram.tobytes() == before
        else:
            raise AssertionError("a foreign or damaged snapshot was loaded")


def check_pictures(make: MakeEmulator) -> None:
    """``observe`` gives the bytes that the reference definition makes of ``screen``."""
    emulator = make()
    emulator.step(Buttons.NOOP, 60)
    rgb = emulator.screen()
    for picture in (
        Picture(),
        Picture(grayscale=True),
        Picture((84, 84), grayscale=True),
        Picture((84, 84)),
        Picture((52, 64), grayscale=True, crop_top=32),
        Picture((239, 255), grayscale=True),
    ):
        observation = emulator.observe(picture)
        assert observation.shape == picture.shape
        assert np.array_equal(observation, render(rgb, picture)), picture
        out = np.zeros(picture.shape, np.uint8)
        assert emulator.observe(picture, out) is out
        assert np.array_equal(out, observation)


def check_close(make: MakeEmulator) -> None:
    """Closing twice is harmless; using a closed console says so."""
    emulator = make()
    emulator.close()
    emulator.close()
    try:
        emulator.step(Buttons.NOOP)
    except EmulatorClosed:
        return
    raise AssertionError("a closed emulator was stepped")


CHECKS = (
    check_shapes,
    check_determinism,
    check_frames,
    check_snapshots,
    check_foreign_snapshots,
    check_pictures,
    check_close,
)
"""All of them, for ``pytest.mark.parametrize``."""
