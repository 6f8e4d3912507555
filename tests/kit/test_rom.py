"""Cartridge images: found by hash, and clear words when they are not."""

from __future__ import annotations

import hashlib
import os
import pickle
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from mario_envkit.cli import main
from mario_envkit.curriculum.search import solve
from mario_envkit.emulator import native
from mario_envkit.emulator.backends import available_backends
from mario_envkit.emulator.rom import KNOWN_ROMS, ROM_VARIABLE, find_rom, installed_roms, read_rom
from mario_envkit.env import MarioEnv
from mario_envkit.errors import OptionError, RomError, SnapshotMismatch
from mario_envkit.maps import draw_level


def test_the_installed_image_is_found_by_hash():
    rom = find_rom()
    assert KNOWN_ROMS[rom.sha256].variant == rom.variant == "vanilla"
    assert (rom.game, len(rom.data)) == ("smb", 40976)
    assert find_rom("lost_levels").game == "lost_levels"


def test_a_renamed_image_is_recognised(tmp_path, monkeypatch):
    path = tmp_path / "anything.bin"
    path.write_bytes(find_rom().data)
    assert find_rom(rom=path).path == path
    monkeypatch.setenv(ROM_VARIABLE, str(path))
    assert find_rom().path == path
    # The variable names one game; the other is still found where it is installed.
    assert find_rom("lost_levels").path != path


def _flipped(data: bytes) -> bytes:
    return data[:5000] + bytes([data[5000] ^ 1]) + data[5001:]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-1], "is damaged: its header promises 40976 bytes and it has 40975"),
        (_flipped, "no version of Super Mario Bros that is known"),
        (lambda data: b"PK\x03\x04" + data[4:], "is not a cartridge image"),
        (lambda data: b"", "is not a cartridge image"),
        (lambda data: data[:4], "is damaged"),
        (
            lambda data: data[:4] + b"\1\1" + data[6:-20],
            "no version of Super Mario Bros that is known",
        ),
        (
            lambda data: data[:4] + b"\4" + _flipped(data)[5:] * 2,
            "64 kB of program and 8 kB of graphics",
        ),
    ],
)
def test_damaged_images(tmp_path, damage, message):
    path = tmp_path / "broken.nes"
    path.write_bytes(damage(find_rom().data))
    with pytest.raises(RomError, match=message):
        read_rom(path)


def test_a_file_that_does_not_end_is_not_read_to_its_end(tmp_path):
    path = tmp_path / "endless.nes"
    path.write_bytes(find_rom().data)
    os.truncate(path, 17 << 20)
    with pytest.raises(RomError, match="more than 16 MB"):
        read_rom(path)


def test_missing_images_and_wrong_choices(tmp_path):
    with pytest.raises(RomError, match="cannot be read"):
        find_rom(rom=tmp_path / "none.nes")
    with pytest.raises(OptionError, match="rom_variant='purple' does not exist"):
        find_rom(variant="purple")
    with pytest.raises(OptionError, match="game='zelda' does not exist"):
        find_rom("zelda")
    with pytest.raises(RomError, match="holds the game 'lost_levels'"):
        find_rom("smb", rom=find_rom("lost_levels").path)


def test_no_image_installed(monkeypatch):
    monkeypatch.setattr("mario_envkit.emulator.rom.installed_roms", tuple)
    with pytest.raises(RomError, match=f"rom=PATH or set {ROM_VARIABLE}"):
        find_rom()


def _header(data: bytes, **changed: int) -> bytes:
    header = bytearray(data[:16])
    for place, value in changed.items():
        header[int(place[1:])] = value
    return bytes(header)


DUMPS = {
    "NES 2.0": lambda data: _header(data, _7=0x08, _11=0x07, _15=0x01) + data[16:],
    "DiskDude!": lambda data: data[:7] + b"DiskDude!" + data[16:],
    "mapper of a tool": lambda data: _header(data, _6=0x41, _7=0x40) + data[16:],
    "horizontal": lambda data: _header(data, _6=0x00) + data[16:],
    "battery, four screens": lambda data: _header(data, _6=0x0B) + data[16:],
    "bytes after the end": lambda data: data + b"\xff" * 512,
    "padded": lambda data: data + bytes(8192),
    "trainer": lambda data: _header(data, _6=0x05) + b"\x55" * 512 + data[16:],
    "trainer unsaid": lambda data: data[:16] + bytes(512) + data[16:],
    "banks": lambda data: _header(data, _4=0x10, _5=0x00) + data[16:],
}


@pytest.mark.parametrize("dump", DUMPS.values(), ids=list(DUMPS))
def test_a_known_image_is_known_whatever_is_around_it(dump, tmp_path, monkeypatch):
    good, path = find_rom(), tmp_path / "dump.nes"
    path.write_bytes(dump(good.data))
    rom = read_rom(path)
    assert (rom.game, rom.variant, rom.sha256) == ("smb", "vanilla", good.sha256)
    assert rom.data == good.data
    assert not rom.clean
    assert rom.path == path
    monkeypatch.setenv(ROM_VARIABLE, str(path))
    assert find_rom().path == path


def played_dumps():
    """Some on every backend; nes-py, which is slow, plays a clean copy of each of them alike."""
    for name in ("trainer", "horizontal", "DiskDude!", "bytes after the end"):
        for backend in available_backends():
            slow = backend == "nes-py" and name != "trainer"
            yield pytest.param(name, backend, marks=[pytest.mark.slow] if slow else [])


@pytest.mark.parametrize(("name", "backend"), played_dumps())
def test_a_dump_plays_as_the_clean_image(name, backend, tmp_path):
    path = tmp_path / "dump.nes"
    path.write_bytes(DUMPS[name](find_rom().data))
    dump, clean = MarioEnv(backend=backend, rom=path), MarioEnv(backend=backend)
    np.testing.assert_equal(dump.reset(seed=0), clean.reset(seed=0))
    for step in range(60):
        np.testing.assert_equal(
            dump.step(129 if step % 9 else 128), clean.step(129 if step % 9 else 128)
        )
    saved = clean.emulator.save()
    dump.emulator.load(saved)
    assert np.array_equal(dump.emulator.screen(), clean.emulator.screen())
    dump.close()
    clean.close()


def test_a_dump_in_a_vector_and_in_a_search(tmp_path):
    path = tmp_path / "dump.nes"
    path.write_bytes(DUMPS["horizontal"](find_rom().data))
    dump, clean = (gymnasium.make_vec("MarioTrain-v0", 2, rom=rom) for rom in (path, None))
    np.testing.assert_equal(dump.reset(seed=0), clean.reset(seed=0))
    np.testing.assert_equal(dump.step([1, 4]), clean.step([1, 4]))
    assert solve("1-1", rom=path)[0] == solve("1-1")[0]
    assert np.array_equal(draw_level("1-1", rom=path).picture, draw_level("1-1").picture)


def test_hashes_are_those_of_the_usual_files():
    for rom in installed_roms():
        assert hashlib.sha256(rom.path.read_bytes()).hexdigest() == rom.sha256
        assert rom.clean


def hack(folder: Path) -> Path:
    """The installed image with other graphics."""
    path = folder / "hack.nes"
    path.write_bytes(
        _header(find_rom().data, _7=0x08) + find_rom().data[16:-64] + bytes(64) + b"x" * 9
    )
    return path


def test_a_hack_needs_to_be_allowed(tmp_path, monkeypatch):
    path = hack(tmp_path)
    with pytest.raises(RomError, match=r"rom_unknown='allow' \(--rom-unknown allow\)"):
        MarioEnv(rom=path)
    with pytest.raises(OptionError, match="rom_unknown='yes' does not exist"):
        MarioEnv(rom=path, rom_unknown="yes")
    rom = read_rom(path, "allow")
    assert (rom.game, rom.variant, len(rom.data)) == ("smb", "unknown", 40976)
    env = MarioEnv(rom=path, rom_unknown="allow")
    assert env.reset(seed=0)[1]["level"] == "1-1"
    assert env.step(128)[4]["frame"] == 1
    assert pickle.loads(pickle.dumps(env)).step(128)[4]["frame"] == 2
    with pytest.raises(SnapshotMismatch, match="cartridge"):
        MarioEnv().emulator.load(env.emulator.save())
    monkeypatch.setenv(ROM_VARIABLE, str(path))
    with pytest.raises(RomError, match="rom_unknown"):
        find_rom()
    assert find_rom(unknown="allow").path == path


@pytest.mark.parametrize("env_id", ["Mario-v0", "MarioTrain-v0", "MarioSnapshot-v0"])
def test_every_id_and_vector_takes_a_hack(env_id, tmp_path):
    kwargs = {"rom": str(hack(tmp_path)), "rom_unknown": "allow"}
    env = gymnasium.make(env_id, **kwargs)
    envs = gymnasium.make_vec(env_id, 2, **kwargs)
    env.reset(seed=0)
    envs.reset(seed=0)
    single, many = env.step(1), envs.step([1, 1])
    assert np.array_equal(many[0][0], single[0])
    with pytest.raises(RomError, match="rom_unknown"):
        gymnasium.make_vec(env_id, 2, rom=kwargs["rom"])


def test_the_command_lines_take_a_hack(tmp_path, capsys):
    path, out = str(hack(tmp_path)), tmp_path / "map.png"
    command = ["map", "--rom", path, "--out", str(out)]
    assert main(command) == 2
    assert "--rom-unknown allow" in capsys.readouterr().err
    assert main([*command, "--rom-unknown", "allow"]) == 0
    assert out.exists()
    assert main(["solve", "--level", "1-1", "--rom", path, "--rom-unknown", "allow",
                 "--out", str(tmp_path)]) == 0  # fmt: skip


@pytest.mark.parametrize(
    ("mapper", "words"),
    [(1, r"mapper 1 \(MMC1\)"), (2, r"2 \(UNROM\)"), (3, r"3 \(CNROM\)"), (4, r"4 \(MMC3\)"),
     (66, r"66 \(GxROM\)"), (250, "mapper 250, and")],
)  # fmt: skip
def test_another_mapper_is_named(mapper, words, tmp_path):
    path, data = tmp_path / "other.nes", find_rom().data
    header = _header(data, _6=(mapper & 15) << 4, _7=mapper & 0xF0)
    path.write_bytes(header + _flipped(data)[16:])
    for unknown in ("refuse", "allow"):
        with pytest.raises(RomError, match=words):
            read_rom(path, unknown)


@pytest.mark.skipif(not native.is_available(), reason="it would take a minute")
def test_an_image_that_never_can_be_played_is_told_of(tmp_path):
    path, data = tmp_path / "other.nes", find_rom().data
    path.write_bytes(data[:16] + b"\xea" * 0x7FF0 + data[16 + 0x7FF0 :])  # does nothing, for ever
    env = MarioEnv(rom=path, rom_unknown="allow")
    with pytest.raises(RomError, match="does not come to a playable state of 1-1"):
        env.reset()
