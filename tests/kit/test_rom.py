"""Cartridge images: found by hash, and clear words when they are not."""

from __future__ import annotations

import pytest

from mario_envkit.emulator.rom import KNOWN_ROMS, ROM_VARIABLE, find_rom, read_rom
from mario_envkit.errors import OptionError, RomError


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
    ],
)
def test_damaged_images(tmp_path, damage, message):
    path = tmp_path / "broken.nes"
    path.write_bytes(damage(find_rom().data))
    with pytest.raises(RomError, match=message):
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
