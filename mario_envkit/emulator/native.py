"""The native console: our own C++ core for cartridges of the type NROM.

Many machines per process, no global state; every call releases the GIL, so threads may run
different machines at once. Of one machine several threads may use one thing after the other: every
call has it to itself.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mario_envkit.arguments import as_choice, not_possible
from mario_envkit.emulator.buttons import check_hold
from mario_envkit.emulator.picture import Picture
from mario_envkit.emulator.snapshot import NotCopied, Snapshot
from mario_envkit.errors import (
    BackendUnavailable,
    EmulatorClosed,
    OptionError,
    RomError,
    SnapshotMismatch,
)

try:
    import mario_envkit._native as _native
except ImportError as error:  # installed without a compiler
    _IMPORT_ERROR: ImportError | None = error
else:
    _IMPORT_ERROR = None

_WHOLE_SCREEN = Picture()


def is_available() -> bool:
    """Whether this installation has the native core."""
    return _IMPORT_ERROR is None


def require() -> None:
    """Check that this installation has the native core.

    Raises:
        BackendUnavailable: if it was installed without it; says how to get it.
    """
    if _IMPORT_ERROR is not None:
        raise BackendUnavailable(
            f"The native console is not built here ({_IMPORT_ERROR}): install a C++17 compiler "
            "and run 'pip install --force-reinstall --no-deps mario-envkit', or choose "
            "backend='nes-py'."
        )


@lru_cache(maxsize=64)
def observer_for(picture: Picture) -> _native.Observer:
    """``picture`` as the native code takes it; machines and threads may share it."""
    height, width = picture.size or picture.source_size
    if not picture.grayscale:
        return _native.Observer(height, width, picture.crop_top, "none", [])
    if isinstance(picture.palette, tuple):
        return _native.Observer(height, width, picture.crop_top, "table", list(picture.palette))
    return _native.Observer(height, width, picture.crop_top, picture.palette, [])


class NativeEmulator(NotCopied):
    """One native console with a cartridge in it: an ``Emulator``.

    Args:
        rom: an iNES cartridge image, the bytes of the file.
        timing: ``"console"``: a frame ends when vertical blank begins, as on the machine.
            ``"nes-py"``: RAM and pixels bit for bit as nes-py 8.2.1, frame boundary included.

    Raises:
        BackendUnavailable: this installation has no native core.
        OptionError: no such timing.
        RomError: the bytes are not a cartridge image that this console can take.
    """

    def __init__(self, rom: bytes, *, timing: str = "console") -> None:
        require()
        machines: dict[str, type[_native.ConsoleMachine] | type[_native.NesPyMachine]]
        machines = {"console": _native.ConsoleMachine, "nes-py": _native.NesPyMachine}
        timing = as_choice("timing", timing, machines)
        if not isinstance(rom, (bytes, bytearray, memoryview)):
            raise not_possible("rom", rom, "the bytes of a cartridge image")
        rom = bytes(rom)
        try:
            cartridge = _native.Cartridge.parse(rom)
        except ValueError as error:
            raise RomError(str(error)) from error
        self.rom_sha256 = hashlib.sha256(rom).hexdigest()
        self.core = f"native/{timing}"
        self._machine: _native.ConsoleMachine | _native.NesPyMachine | None
        self._machine = machines[timing](cartridge)

    @property
    def _open(self) -> _native.ConsoleMachine | _native.NesPyMachine:
        if self._machine is None:
            raise EmulatorClosed("This emulator is closed; make a new one.")
        return self._machine

    def reset(self) -> None:
        """Power on: memory zero, picture black."""
        self._open.power_on()

    def step(self, buttons: int, frames: int = 1, *, render: bool = True) -> None:
        """Hold ``buttons`` (0 to 255, see :class:`Buttons`) for ``frames`` frames (1 or more).

        With ``render=False`` nothing is drawn; if the picture is wanted after all, the last of the
        frames is run once more.

        Raises:
            OptionError: for other values.
        """
        if not (type(buttons) is type(frames) is int and 0 <= buttons <= 255 and frames == 1):
            buttons, frames = check_hold(buttons, frames)
        self._open.step(buttons, frames, bool(render))

    def screen(self, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """The current picture as RGB, ``(240, 256, 3)`` uint8, in the colours of nes-py."""
        return self.observe(_WHOLE_SCREEN, out)

    def observe(self, picture: Picture, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """The current picture as ``picture`` describes it: a copy, or ``out`` filled.

        Raises:
            OptionError: ``out`` is not a uint8 array of that shape.
        """
        machine, observer = self._open, observer_for(picture)
        if out is None:
            out = np.empty(picture.shape, np.uint8)
        elif out.shape != picture.shape or out.dtype != np.uint8:
            raise OptionError(
                f"out has shape {out.shape} and dtype {out.dtype}, but the picture needs "
                f"{picture.shape} and uint8."
            )
        if out.flags.c_contiguous and out.flags.writeable:
            machine.observe(observer, out)
        else:
            whole = np.empty(picture.shape, np.uint8)
            machine.observe(observer, whole)
            out[...] = whole
        return out

    @property
    def ram(self) -> NDArray[np.uint8]:
        """The 2,048 bytes of work RAM: a live view, whose writes reach the machine.

        The array keeps the machine's memory alive, also after ``close()``.
        """
        return self._open.ram()

    def save(self) -> Snapshot:
        """The machine, as a value; it holds the picture too."""
        return Snapshot(self.core, self.rom_sha256, self._open.save())

    def load(self, snapshot: Snapshot) -> None:
        """Become the machine that was saved.

        Raises:
            SnapshotMismatch: for another core or cartridge, or damaged bytes; this machine is
                left as it was.
        """
        machine = self._open
        snapshot.require(self.core, self.rom_sha256)
        problem = machine.load(snapshot.data)
        if problem:
            raise SnapshotMismatch(
                f"The snapshot cannot be loaded: {problem}; use another copy or take it again."
            )

    def close(self) -> None:
        """Free the machine. Closing twice is harmless."""
        self._machine = None
