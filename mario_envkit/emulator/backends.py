"""Which emulators there are, and how to get one."""

from __future__ import annotations

import warnings

from mario_envkit.arguments import as_choice, as_text, not_possible, shown
from mario_envkit.emulator import native
from mario_envkit.emulator.nes_py import NesPyEmulator, nes_py_version
from mario_envkit.emulator.protocol import Emulator
from mario_envkit.emulator.rom import Rom
from mario_envkit.errors import BackendUnavailable, OptionError

TIMINGS = {"native": ("console", "nes-py"), "nes-py": ("nes-py",)}
"""For each backend the timings it has, its default first.

``console``: a frame ends at vertical blank, as on the machine. ``nes-py``: bit for bit nes-py 8.2.
(The backend ``nes-py`` has the timing of the nes-py that is installed; 9.x differs from 8.2.)
"""


def available_backends() -> list[str]:
    """Backends that can be used on this machine, the best first."""
    usable = {"native": native.is_available(), "nes-py": nes_py_version() is not None}
    return [name for name, is_usable in usable.items() if is_usable]


def make_emulator(rom: Rom, backend: str | None = None, timing: str | None = None) -> Emulator:
    """Power on a console with ``rom`` in it.

    Args:
        rom: the cartridge.
        backend: "native" or "nes-py"; None takes the best there is.
        timing: where a frame ends; None takes the backend's default.

    Raises:
        OptionError: for a backend or timing that does not exist.
        BackendUnavailable: if it is not installed here; says how to get it.
    """
    if not isinstance(rom, Rom):
        raise not_possible("rom", rom, "what find_rom() or read_rom() returned")
    backend = as_choice("backend", backend, TIMINGS, optional=True)
    chosen = backend or _default_backend()
    timing = None if timing is None else as_text("timing", timing)
    if timing is not None and timing not in TIMINGS[chosen]:
        raise OptionError(
            f"timing={shown(timing)} is not possible on the backend {chosen!r}; it offers "
            f"{', '.join(TIMINGS[chosen])}."
        )
    if chosen == "native":
        return native.NativeEmulator(rom.data, timing=timing or "console")
    return NesPyEmulator(rom)


def _default_backend() -> str:
    """The native console; without it nes-py, with a warning that says how to get it."""
    if native.is_available():
        return "native"
    try:
        native.require()
    except BackendUnavailable as error:
        warnings.warn(f"Falling back to nes-py, 100 times slower. {error}", stacklevel=2)
    return "nes-py"
