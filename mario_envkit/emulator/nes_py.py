"""The reference backend: nes-py, as published results used it.

nes-py 8.x is driven through its shared library with ctypes: importing ``nes_py`` 8.x would import
the unmaintained ``gym``, which does not work with NumPy 2. From 9.0 on its own bindings are used.

nes-py cannot give its state away (8.x has one backup slot, 9.x opaque handles), so a snapshot here
is the machine's history: loading replays it from the nearest state that is still kept in the
process. That is exact, but where nothing is kept it costs about 1.4 ms for every frame since
power-on. The native backend loads in microseconds.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
import threading
import weakref
from collections import OrderedDict
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mario_envkit.arguments import not_possible
from mario_envkit.emulator.buttons import check_hold
from mario_envkit.emulator.picture import Picture, render
from mario_envkit.emulator.protocol import RAM_SIZE, SCREEN_HEIGHT, SCREEN_WIDTH
from mario_envkit.emulator.rom import Rom
from mario_envkit.emulator.snapshot import NotCopied, Snapshot
from mario_envkit.emulator.tape import Tape
from mario_envkit.errors import BackendUnavailable, EmulatorClosed, RomError

_NOTHING = Tape(b"", ())


def nes_py_version() -> str | None:
    """Version of the installed nes-py, without importing it; None if there is none."""
    try:
        return version("nes-py")
    except PackageNotFoundError:
        return None


class _Console(Protocol):
    """What the two generations of nes-py have in common."""

    keeps: int  # how many states can be kept at a time
    ram: NDArray[np.uint8]
    screen: NDArray[np.uint8]  # (240, 256, 3) RGB, a view

    def power_on(self) -> None: ...
    def frame(self, buttons: int) -> None: ...
    def keep(self) -> Any: ...
    def restore(self, kept: Any) -> None: ...


class _Machine8:
    """A machine of nes-py 8.x, closed when nobody looks at its memory any more.

    Args:
        library: the shared library.
        rom: path of the cartridge image.
    """

    def __init__(self, library: ctypes.CDLL, rom: str) -> None:
        self.library = library
        self.handle: int = library.Initialize(rom)

    def view(self, address: int, size: int) -> NDArray[np.uint8]:
        """``size`` bytes of its memory, which keep the machine alive."""
        buffer: Any = (ctypes.c_uint8 * size).from_address(address)
        buffer.machine = self
        return np.ctypeslib.as_array(buffer)

    def __del__(self) -> None:
        self.library.Close(self.handle)


class Console8:
    """nes-py 8.x: a C interface with one backup slot a machine."""

    keeps = 1

    def __init__(self, rom: Path) -> None:
        self._library = _load_library()
        self._rom = os.fspath(rom)
        self.power_on()

    def power_on(self) -> None:
        # Reset() is the console's reset button and keeps RAM; only a new machine is a power-on.
        machine = _Machine8(self._library, self._rom)
        self._library.Reset(machine.handle)
        self.ram = machine.view(self._library.Memory(machine.handle), RAM_SIZE)
        self._joypad = machine.view(self._library.Controller(machine.handle, 0), 1)
        size = SCREEN_HEIGHT * SCREEN_WIDTH * 4
        pixels = machine.view(self._library.Screen(machine.handle), size)
        self.screen = pixels.reshape(SCREEN_HEIGHT, SCREEN_WIDTH, 4)[:, :, 2::-1]  # BGRx -> RGB
        self._handle = machine.handle  # the views above keep the machine

    def frame(self, buttons: int) -> None:
        self._joypad[0] = buttons
        self._library.Step(self._handle)

    def keep(self) -> None:
        self._library.Backup(self._handle)

    def restore(self, kept: None) -> None:
        self._library.Restore(self._handle)


def _load_library() -> ctypes.CDLL:
    spec = find_spec("nes_py")
    folders = [Path(p) for p in (spec.submodule_search_locations or ())] if spec else []
    for path in (p for folder in folders for p in sorted(folder.glob("lib_nes_env*"))):
        library = ctypes.CDLL(os.fspath(path))
        signatures: Mapping[str, tuple[Any, list[Any]]] = {
            "Initialize": (ctypes.c_void_p, [ctypes.c_wchar_p]),
            "Controller": (ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_uint]),
            "Screen": (ctypes.c_void_p, [ctypes.c_void_p]),
            "Memory": (ctypes.c_void_p, [ctypes.c_void_p]),
            **dict.fromkeys(
                ("Reset", "Step", "Backup", "Restore", "Close"), (None, [ctypes.c_void_p])
            ),
        }
        for name, (result, arguments) in signatures.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
        return library
    raise BackendUnavailable(
        "The nes-py backend needs nes-py's shared library and none was found; "
        "reinstall it: pip install --force-reinstall nes-py."
    )


class Console9:
    """nes-py 9.x: its own bindings, with as many opaque states as wanted."""

    keeps = 64

    def __init__(self, rom: Path) -> None:
        from nes_py._native import NativeEmulator

        self._machine: Any = NativeEmulator(os.fspath(rom))
        self._machine.reset()
        self.ram = self._machine.ram_buffer()
        self.screen = self._machine.screen_buffer()
        self._powered_on = self.keep()

    def power_on(self) -> None:
        # Not a new machine: a state loads safely only into the machine that it was taken from.
        self.restore(self._powered_on)

    def frame(self, buttons: int) -> None:
        self._machine.frame_advance(buttons)

    def keep(self) -> Any:
        return self._machine.dump_state()

    def restore(self, kept: Any) -> None:
        self._machine.load_state(kept)


class _RomFile:
    """The path of a clean image, as nes-py reads files by itself and believes their headers.

    A temporary file, removed with this object, where the file of the cartridge is not clean.
    """

    def __init__(self, rom: Rom) -> None:
        self.path = rom.path
        if not rom.clean:
            try:
                folder = tempfile.mkdtemp(prefix="mario-envkit-")
                weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
                self.path = Path(folder) / "clean.nes"
                self.path.write_bytes(rom.data)
            except OSError as error:
                raise RomError(
                    f"nes-py cannot read {rom.path} as it is, and a clean copy cannot be written "
                    f"({error.strerror}); make room in {tempfile.gettempdir()}, or give a clean "
                    "image."
                ) from error


class NesPyEmulator(NotCopied):
    """The ``nes-py`` backend of the :class:`~mario_envkit.emulator.protocol.Emulator` protocol.

    Several threads may use it: every call has the machine to itself.

    Args:
        rom: the cartridge.

    Raises:
        BackendUnavailable: if nes-py is not installed or cannot be used.
    """

    def __init__(self, rom: Rom) -> None:
        if not isinstance(rom, Rom):
            raise not_possible("rom", rom, "what find_rom() or read_rom() returned")
        installed = nes_py_version()
        if installed is None:
            raise BackendUnavailable(
                "The nes-py backend needs the package nes-py, which is not installed; "
                "pip install nes-py."
            )
        major = int(installed.split(".")[0])
        self.core = f"nes-py/{major}"
        self.rom_sha256 = rom.sha256
        self._file = _RomFile(rom)
        console = Console8 if major < 9 else Console9
        self._console: _Console | None = console(self._file.path)
        self._kept: OrderedDict[Tape, Any] = OrderedDict()
        self._lock = threading.RLock()
        self._forget_history()

    def _forget_history(self) -> None:
        self._buttons = bytearray()
        self._pokes: list[tuple[int, int, int]] = []
        self._seen = self._open.ram.tobytes()

    @property
    def _open(self) -> _Console:
        if self._console is None:
            raise EmulatorClosed(
                "This emulator was closed and cannot be used any more; make a new one."
            )
        return self._console

    @property
    def ram(self) -> NDArray[np.uint8]:
        """The 2,048 bytes of work RAM, live. Fetch it again after ``reset()`` and ``load()``.

        An array from before is of a machine that has gone, and changes no more.
        """
        return self._open.ram

    def reset(self) -> None:
        """Power on."""
        with self._lock:
            self._open.power_on()
            if self._open.keeps == 1:
                self._kept.clear()  # the slot went away with the old machine
            self._forget_history()

    def step(self, buttons: int, frames: int = 1, *, render: bool = True) -> None:
        """Hold ``buttons`` for ``frames`` frames; nes-py always draws, whatever ``render`` says.

        Raises:
            OptionError: if these are not a joypad byte and one frame or more.
        """
        buttons, frames = check_hold(buttons, frames)
        with self._lock:
            console = self._open
            for _ in range(frames):
                self._note_pokes()
                console.frame(buttons)
                self._buttons.append(buttons)
                self._seen = console.ram.tobytes()

    def _note_pokes(self) -> None:
        """Record what the caller wrote into RAM since the last frame."""
        now = self._open.ram
        if now.tobytes() != self._seen:
            before = np.frombuffer(self._seen, np.uint8)
            for address in np.flatnonzero(before != now).tolist():
                self._pokes.append((len(self._buttons), address, int(now[address])))
            self._seen = now.tobytes()

    def screen(self, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """The picture as RGB ``(240, 256, 3)`` uint8: a copy, or ``out`` filled."""
        with self._lock:
            if out is None:
                return np.array(self._open.screen, order="C")
            np.copyto(out, self._open.screen)
            return out

    def observe(self, picture: Picture, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """The picture as ``picture`` describes it: a copy, or ``out`` filled."""
        with self._lock:
            observation = render(self._open.screen, picture)
        if out is None:
            return observation
        np.copyto(out, observation)
        return out

    def save(self) -> Snapshot:
        """The machine's history as a value; the state is kept in this process as well."""
        with self._lock:
            self._note_pokes()
            tape = Tape(bytes(self._buttons), tuple(self._pokes))
            self._keep(tape)
        return Snapshot(self.core, self.rom_sha256, tape.to_bytes())

    def _keep(self, tape: Tape) -> None:
        while len(self._kept) >= self._open.keeps:
            self._kept.popitem(last=False)
        self._kept[tape] = self._open.keep()

    def load(self, snapshot: Snapshot) -> None:
        """Become the machine that was saved, by replay where it is not kept any more.

        Raises:
            SnapshotMismatch: see :class:`~mario_envkit.emulator.protocol.Emulator`.
        """
        snapshot.require(self.core, self.rom_sha256)
        tape = Tape.from_bytes(snapshot.data)
        with self._lock:
            self._replay(tape)

    def _replay(self, tape: Tape) -> None:
        start = max(
            (kept for kept in self._kept if tape.starts_with(kept)),
            key=lambda kept: (len(kept.buttons), len(kept.pokes)),
            default=None,
        )
        if start is None:
            self.reset()
            start = _NOTHING
        else:
            self._open.restore(self._kept[start])
            self._kept.move_to_end(start)
        for writes, buttons in tape.after(start):
            for address, value in writes:
                self._open.ram[address] = value
            if buttons is not None:
                self._open.frame(buttons)
        self._buttons, self._pokes = bytearray(tape.buttons), list(tape.pokes)
        self._seen = self._open.ram.tobytes()
        if start != tape:
            self._keep(tape)

    def close(self) -> None:
        """Free the machine. Closing twice is harmless."""
        with self._lock:
            self._console = None
            self._kept.clear()
