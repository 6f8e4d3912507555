"""Which emulators there are, and how to get one."""

from __future__ import annotations

from mario_envkit.emulator import native
from mario_envkit.emulator.nes_py import NesPyEmulator, nes_py_version
from mario_envkit.emulator.protocol import Emulator
from mario_envkit.emulator.rom import Rom
from mario_envkit.errors import BackendUnavailable, OptionError

TIMINGS = {"native": ("console", "nes-py"), "nes-py": ("nes-py",)}
"""For each backend the timings it has, its default first."""


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
        BackendUnavailable: if it is not installed here.
    """
    if backend is not None and backend not in TIMINGS:
        raise OptionError(
            f"backend={backend!r} does not exist; choose one of {', '.join(TIMINGS)}."
        )
    usable = available_backends()
    chosen = backend or (usable[0] if usable else None)
    if chosen == "native":
        native.require()
    if chosen not in usable:
        raise BackendUnavailable(
            f"The backend {chosen or 'nes-py'!r} is not installed; pip install nes-py."
        )
    if timing is not None and timing not in TIMINGS[chosen]:
        raise OptionError(
            f"timing={timing!r} is not possible on the backend {chosen!r}; it offers "
            f"{', '.join(TIMINGS[chosen])}."
        )
    if chosen == "native":
        return native.NativeEmulator(rom.data, timing=timing or TIMINGS[chosen][0])  # type: ignore[arg-type]
    return NesPyEmulator(rom)
