"""Builds of the core's fuzz driver: with sanitizers, without vector instructions, for arm64."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.lockstep.references import VANILLA, ReferenceMissingError, rom_path

SOURCE = Path(__file__).parents[2] / "mario_envkit" / "native"

SANITIZED = ["-DMARIO_SANITIZE=address,undefined", "-DCMAKE_BUILD_TYPE=Debug"]
PORTABLE = ["-DMARIO_SIMD=OFF", "-DMARIO_SWITCH=ON", "-DCMAKE_BUILD_TYPE=Debug"]
OPTIMISED = ["-DCMAKE_BUILD_TYPE=Debug"]
ARM64_COMPILER, ARM64_RUNNER = "aarch64-linux-gnu-g++", "qemu-aarch64"
ARM64 = [
    *OPTIMISED,
    "-DCMAKE_SYSTEM_NAME=Linux",
    "-DCMAKE_SYSTEM_PROCESSOR=aarch64",
    f"-DCMAKE_CXX_COMPILER={ARM64_COMPILER}",
    "-DCMAKE_EXE_LINKER_FLAGS=-static",
]
"""Options of CMake; all are built with -O1, which compiles fast."""


def build_fuzz_driver(build: Path, options: list[str]) -> Path:
    """Build the driver in the folder ``build``; skips the test where that is not possible."""
    if not shutil.which("cmake") or not (shutil.which("c++") or shutil.which("g++")):
        pytest.skip("needs CMake and a C++ compiler")
    common = ["-DMARIO_PYTHON=OFF", "-DMARIO_FUZZ=ON", "-DCMAKE_CXX_FLAGS=-O1"]
    configured = subprocess.run(
        ["cmake", "-S", SOURCE, "-B", build, *common, *options], capture_output=True, text=True
    )
    if configured.returncode:
        pytest.skip(f"CMake cannot configure here: {configured.stderr.strip()[-200:]}")
    compiled = subprocess.run(
        ["cmake", "--build", build, "--parallel", "2"], capture_output=True, text=True
    )
    assert compiled.returncode == 0, compiled.stdout[-3000:]
    return build / "fuzz_driver"


def fuzz(command: list[str], seed: int, inputs: int) -> str:
    """Run a driver; returns what it printed: counts, and the checksum of all that it did."""
    command = [*command, str(seed), str(inputs)]
    with suppress(ReferenceMissingError):  # without the game: random cartridges only
        command.append(str(rom_path(VANILLA)))
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
