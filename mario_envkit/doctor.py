"""What this installation has, and how fast it is."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from mario_envkit.emulator.backends import TIMINGS, available_backends, make_emulator
from mario_envkit.emulator.rom import ROM_VARIABLE, find_rom, installed_roms
from mario_envkit.errors import MarioEnvkitError

PACKAGES = (
    "mario-envkit", "gymnasium", "numpy", "opencv-python", "nes-py", "gym-super-mario-bros",
    "pygame", "torch",
)  # fmt: skip


def report() -> Iterator[str]:
    """The lines of ``mario-envkit doctor``, each as soon as it is known."""
    yield f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    for package in PACKAGES:
        try:
            yield f"  {package:22} {version(package)}"
        except PackageNotFoundError:
            yield f"  {package:22} not installed"
    yield "ROMs"
    roms = installed_roms()
    for rom in roms:
        yield f"  {rom.game:12} {rom.variant:12} {rom.sha256[:12]}…  {rom.path.name}"
    if not roms:
        yield f"  none: pip install gym-super-mario-bros, or set {ROM_VARIABLE}"
    yield "Backends (frames a second, one core)"
    usable = available_backends()
    for backend, timings in TIMINGS.items():
        if backend not in usable:
            yield f"  {backend:12} {_why_not(backend)}"
            continue
        for timing in timings:
            yield f"  {backend:12} {timing:12} {_speed(backend, timing)}"


def _why_not(backend: str) -> str:
    try:
        make_emulator(find_rom(), backend)
    except MarioEnvkitError as error:
        return str(error)
    return "not installed"


def _speed(backend: str, timing: str, seconds: float = 0.5) -> str:
    try:
        emulator = make_emulator(find_rom(), backend, timing)
    except MarioEnvkitError as error:
        return f"does not work: {error}"
    frames = 0
    start = time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        emulator.step(0, 60)
        frames += 60
    emulator.close()
    return f"{frames / elapsed:,.0f}"
