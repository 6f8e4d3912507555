"""The console: a protocol, snapshots as values, cartridge look-up, and the backends."""

from mario_envkit.emulator.buttons import Buttons
from mario_envkit.emulator.picture import STATUS_BAR_HEIGHT, Picture
from mario_envkit.emulator.protocol import RAM_SIZE, SCREEN_HEIGHT, SCREEN_WIDTH, Emulator
from mario_envkit.emulator.rom import Rom, find_rom, read_rom
from mario_envkit.emulator.snapshot import Snapshot

__all__ = [
    "RAM_SIZE",
    "SCREEN_HEIGHT",
    "SCREEN_WIDTH",
    "STATUS_BAR_HEIGHT",
    "Buttons",
    "Emulator",
    "Picture",
    "Rom",
    "Snapshot",
    "find_rom",
    "read_rom",
]
