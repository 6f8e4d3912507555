"""The emulators that the native console is held against, behind one small interface.

Each has ``step(buttons)``, ``ram`` (2,048 bytes) and, where it is compared, ``screen()``.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.machinery
import importlib.metadata
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

VANILLA = "ec299b990e8bfee8ba46e3f61d63b2e1ae5b8a2e431de84e2e4bbd692dc53586"
LOST_LEVELS = "d133358f74e8ac78b7f61259866428770da6b84bf5dcd3645e47fc962c5ba45f"


class ReferenceMissingError(Exception):
    """A reference emulator or a cartridge is not installed; the text says which."""


@lru_cache
def rom_path(sha256: str) -> Path:
    """Path of the image with this SHA-256 in the installed gym-super-mario-bros."""
    try:
        files = importlib.metadata.files("gym-super-mario-bros") or []
    except importlib.metadata.PackageNotFoundError:
        raise ReferenceMissingError("gym-super-mario-bros, which brings the game") from None
    for file in files:
        path = Path(str(file.locate()))
        if path.suffix == ".nes" and hashlib.sha256(path.read_bytes()).hexdigest() == sha256:
            return path
    raise ReferenceMissingError(f"a cartridge image with SHA-256 {sha256[:12]}…")


class NesPy:
    """nes-py 8.x through its C interface (importing the package drags in gym)."""

    def __init__(self, rom: Path) -> None:
        self._lib = self._library()
        self._emulator = ctypes.c_void_p(self._lib.Initialize(str(rom)))
        self._buttons = self._view(self._lib.Controller(self._emulator, 0), 1)
        self.ram: NDArray[np.uint8] = self._view(self._lib.Memory(self._emulator), 2048)
        pixels = self._view(self._lib.Screen(self._emulator), 240 * 256 * 4)
        self._pixels = pixels.reshape(240, 256, 4)
        self._lib.Reset(self._emulator)

    @staticmethod
    @lru_cache
    def _library() -> ctypes.CDLL:
        try:
            distribution = importlib.metadata.distribution("nes-py")
        except importlib.metadata.PackageNotFoundError:
            raise ReferenceMissingError("nes-py 8.2.1") from None
        if not distribution.version.startswith("8.2."):
            raise ReferenceMissingError(
                f"nes-py 8.2.1 (nes-py {distribution.version} is installed)"
            )
        folder = Path(str(distribution.locate_file("nes_py")))
        files = [
            file
            for suffix in importlib.machinery.EXTENSION_SUFFIXES
            for file in folder.glob(f"lib_nes_env*{suffix}")
        ]
        if not files:
            raise ReferenceMissingError(f"the library of nes-py, in {folder}")
        library = ctypes.CDLL(str(files[0]))
        pointer = ctypes.c_void_p
        library.Initialize.argtypes = [ctypes.c_wchar_p]
        library.Controller.argtypes = [pointer, ctypes.c_uint]
        for name in ("Memory", "Screen", "Reset", "Step", "Close"):
            getattr(library, name).argtypes = [pointer]
        for name in ("Initialize", "Controller", "Memory", "Screen"):
            getattr(library, name).restype = pointer
        for name in ("Reset", "Step", "Close"):
            getattr(library, name).restype = None
        return library

    @staticmethod
    def _view(address: int, size: int) -> NDArray[np.uint8]:
        return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))

    def step(self, buttons: int) -> None:
        self._buttons[0] = buttons
        self._lib.Step(self._emulator)

    def screen(self) -> NDArray[np.uint8]:
        """RGB, a copy."""
        return np.ascontiguousarray(self._pixels[:, :, 2::-1])

    def close(self) -> None:
        self._lib.Close(self._emulator)


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
