"""The emulators that the native console is held against, behind one small interface.

Each has ``step(buttons)``, ``ram`` (2,048 bytes) and, where it is compared, ``screen()``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mario_envkit.emulator.nes_py import Console8, nes_py_version
from mario_envkit.emulator.rom import installed_roms

VANILLA = "ec299b990e8bfee8ba46e3f61d63b2e1ae5b8a2e431de84e2e4bbd692dc53586"
LOST_LEVELS = "d133358f74e8ac78b7f61259866428770da6b84bf5dcd3645e47fc962c5ba45f"


class ReferenceMissingError(Exception):
    """A reference emulator or a cartridge is not installed; the text says which."""


def rom_path(sha256: str) -> Path:
    """Path of the image with this SHA-256 in the installed gym-super-mario-bros."""
    for rom in installed_roms():
        if rom.sha256 == sha256:
            return rom.path
    raise ReferenceMissingError(f"a cartridge image with SHA-256 {sha256[:12]}…")


class NesPy:
    """nes-py 8.2, bare: without the history that the backend keeps for its snapshots."""

    def __init__(self, rom: Path) -> None:
        version = nes_py_version()
        if version is None or not version.startswith("8.2."):
            raise ReferenceMissingError(f"nes-py 8.2.1 (installed: {version})")
        self._console = Console8(rom)
        self.ram = self._console.ram

    def step(self, buttons: int) -> None:
        self._console.frame(buttons)

    def screen(self) -> NDArray[np.uint8]:
        """RGB, a copy."""
        return np.array(self._console.screen, order="C")

    def close(self) -> None:
        del self._console  # ends with the last who looks at its memory


class Cynes:
    """cynes, an emulator that is exact to the cycle; a frame ends at vertical blank."""

    def __init__(self, rom: Path) -> None:
        try:
            from cynes import NES  # type: ignore[import-untyped,unused-ignore]
        except ImportError:
            raise ReferenceMissingError("cynes") from None
        self._nes = NES(str(rom))

    def step(self, buttons: int) -> None:
        # Its joypad byte is ours in reverse.
        self._nes.controller = int(f"{buttons:08b}"[::-1], 2)
        self._nes.step()

    @property
    def ram(self) -> NDArray[np.uint8]:
        return np.array([self._nes[address] for address in range(2048)], np.uint8)

    def poke(self, address: int, value: int) -> None:
        self._nes[address] = value


class StableRetro:
    """FCEUmm as stable-retro brings it; one per process."""

    # Our button bits, 0 (A) to 7 (right), by the position that FCEUmm gives them.
    _ORDER = (1, None, 2, 3, 4, 5, 6, 7, 0)

    def __init__(self, rom: Path) -> None:
        try:
            import stable_retro as retro  # type: ignore[import-not-found,unused-ignore]
            import stable_retro.data  # type: ignore[import-not-found,unused-ignore]
        except ImportError:
            raise ReferenceMissingError("stable-retro") from None
        game = Path(retro.__file__).parent / "data" / "stable" / "SuperMarioBros-Nes-v0"
        self._emulator = retro.RetroEmulator(str(rom))
        self._data = retro.data.GameData()
        self._emulator.configure_data(self._data)
        self._emulator.step()
        self._data.load(str(game / "data.json"), str(game / "scenario.json"))

    def step(self, buttons: int) -> None:
        mask = [0 if bit is None else buttons >> bit & 1 for bit in self._ORDER]
        self._emulator.set_button_mask(np.array(mask, np.uint8), 0)
        self._emulator.step()
        self._data.update_ram()

    @property
    def ram(self) -> NDArray[np.uint8]:
        blocks = self._data.memory.blocks
        return np.frombuffer(bytes(blocks[0]) + bytes(blocks[1024]), np.uint8)
