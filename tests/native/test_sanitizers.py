"""The core under AddressSanitizer and UndefinedBehaviorSanitizer, fed with garbage."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.lockstep.references import VANILLA, ReferenceMissingError, rom_path

SOURCE = Path(__file__).parents[2] / "mario_envkit" / "native"


@pytest.fixture(scope="session")
def fuzz_driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("cmake") or not (shutil.which("c++") or shutil.which("g++")):
        pytest.skip("needs CMake and a C++ compiler")
    build = tmp_path_factory.mktemp("fuzz")
    options = ["-DMARIO_PYTHON=OFF", "-DMARIO_FUZZ=ON", "-DMARIO_SANITIZE=address,undefined"]
    options += ["-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS=-O1"]
    configured = subprocess.run(
        ["cmake", "-S", SOURCE, "-B", build, *options], capture_output=True, text=True
    )
    if configured.returncode:
        pytest.skip(f"CMake cannot configure here: {configured.stderr.strip()[-200:]}")
    subprocess.run(
        ["cmake", "--build", build, "--parallel", "2"], check=True, capture_output=True, timeout=280
    )
    return build / "fuzz_driver"


@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", [1, 2])
def test_garbage_stays_in_bounds(fuzz_driver: Path, seed: int) -> None:
    command = [str(fuzz_driver), str(seed), "60"]
    with suppress(ReferenceMissingError):  # without the game: random cartridges only
        command.append(str(rom_path(VANILLA)))
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
