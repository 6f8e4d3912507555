#!/usr/bin/env python3
"""Compiles the native core, and its fuzz driver, for systems that this machine is not.

``pip install ziglang`` brings a compiler for all of them (400 MB: Clang, with the headers and
libraries of each target); CMake is needed too. So this finds what another system would complain
about without having one::

    python scripts/cross_compile.py                       # all targets
    python scripts/cross_compile.py x86_64-windows-gnu --run wine64

With ``--run`` the driver plays random inputs there and here, and has to print the same checksum:
``wine64`` for Windows, ``qemu-aarch64`` for ``aarch64-linux-musl``. Python's bindings are not
compiled.
"""

from __future__ import annotations

import argparse
import platform
import shlex
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "mario_envkit" / "native"
SYSTEMS = {"windows": "Windows", "macos": "Darwin", "linux": "Linux"}
TARGETS = ("x86_64-windows-gnu", "aarch64-macos", "x86_64-macos", "aarch64-linux-musl")
HERE = (
    f"{platform.machine()}-linux-musl"
    if sys.platform == "linux"
    else f"{platform.machine().replace('arm64', 'aarch64')}-macos"
)
SEED = "1"


def toolchain(target: str, folder: Path) -> dict[str, Path]:
    """Scripts that call Zig as CMake calls a compiler, an archiver and an indexer of archives."""
    folder.mkdir(parents=True, exist_ok=True)
    zig = [sys.executable, "-m", "ziglang"]
    tools = {
        "c++": [*zig, "c++", "-target", target],
        "ar": [*zig, "ar"],
        "ranlib": [*zig, "ranlib"],
    }
    for name, command in tools.items():
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n', encoding="utf-8")
        script.chmod(0o755)
    return {name: folder / name for name in tools}


def build(target: str, folder: Path) -> Path:
    """The fuzz driver for a target.

    Raises:
        subprocess.CalledProcessError: if it cannot be compiled.
    """
    processor, system, *_ = target.split("-")
    tools = toolchain(target, folder / "tools")
    options = {
        "CMAKE_SYSTEM_NAME": SYSTEMS[system],
        "CMAKE_SYSTEM_PROCESSOR": processor,
        "CMAKE_CXX_COMPILER": tools["c++"],
        "CMAKE_AR": tools["ar"],
        "CMAKE_RANLIB": tools["ranlib"],
        "CMAKE_CXX_FLAGS": "-Werror",
        # What CMake finds on this machine is of another system.
        "CMAKE_FIND_ROOT_PATH_MODE_LIBRARY": "NEVER",
        "CMAKE_FIND_ROOT_PATH_MODE_INCLUDE": "NEVER",
        "MARIO_PYTHON": "OFF",
        "MARIO_FUZZ": "ON",
    }
    words = [f"-D{name}={value}" for name, value in options.items()]
    subprocess.run(["cmake", "-S", SOURCE, "-B", folder, *words], check=True)
    subprocess.run(["cmake", "--build", folder, "--parallel", "2"], check=True)
    return folder / ("fuzz_driver.exe" if system == "windows" else "fuzz_driver")


def play(command: list[str], inputs: int, rom: Path | None) -> str:
    """What a driver prints: counts, and the checksum of all that it did."""
    words = [*command, SEED, str(inputs), *([str(rom)] if rom else [])]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.replace("\r\n", "\n")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "targets", nargs="*", default=TARGETS, metavar="TARGET", help=", ".join(TARGETS)
    )
    parser.add_argument(
        "--out", type=Path, default=Path("build/cross"), help="folder for the builds"
    )
    parser.add_argument("--run", metavar="COMMAND", help="plays the driver of a target here")
    parser.add_argument("--inputs", type=int, default=200_000, help="random inputs to play")
    parser.add_argument("--rom", type=Path, help="image of the game; without it random cartridges")
    options = parser.parse_args()
    for target in options.targets:
        driver = build(target, options.out / target)
        print(f"{target}: {driver}, {driver.stat().st_size} bytes", flush=True)
        if options.run:
            ours = play([str(build(HERE, options.out / HERE))], options.inputs, options.rom)
            theirs = play([*shlex.split(options.run), str(driver)], options.inputs, options.rom)
            print(f"here:\n{ours}{target}:\n{theirs}", end="")
            if ours != theirs:
                print("They differ.", file=sys.stderr)
                return 1
            print("They are the same.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
