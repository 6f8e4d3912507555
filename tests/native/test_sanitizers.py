"""The core under AddressSanitizer and UndefinedBehaviorSanitizer, fed with garbage; and that every
way to build it computes the same.

``python -m tests.native.fuzz`` does this for millions of inputs.
"""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

import pytest

from tests.native.drivers import (
    ARM64,
    ARM64_COMPILER,
    ARM64_RUNNER,
    OPTIMISED,
    PORTABLE,
    SANITIZED,
    build_fuzz_driver,
    fuzz,
)

SEED, INPUTS = 1, 10_000


@pytest.fixture(scope="session")
def optimised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The build for this machine, with fusions and vector instructions."""
    return build_fuzz_driver(tmp_path_factory.mktemp("optimised"), OPTIMISED)


@pytest.fixture(scope="session")
def expected(optimised: Path) -> str:
    return fuzz([str(optimised)], SEED, INPUTS)


@pytest.mark.timeout(600)
@pytest.mark.slow
def test_garbage_stays_in_bounds(tmp_path: Path, expected: str) -> None:
    driver = build_fuzz_driver(tmp_path, SANITIZED)
    assert fuzz([str(driver)], SEED, INPUTS) == expected


@pytest.mark.timeout(600)
@pytest.mark.slow
def test_plain_code_computes_the_same(tmp_path: Path, expected: str) -> None:
    driver = build_fuzz_driver(tmp_path, PORTABLE)
    assert fuzz([str(driver)], SEED, INPUTS) == expected


@pytest.mark.timeout(600)
@pytest.mark.skipif(
    platform.machine() != "x86_64" or not shutil.which("qemu-x86_64"),
    reason="needs qemu-x86_64 (Debian: qemu-user)",
)
@pytest.mark.slow
def test_a_processor_without_avx2_computes_the_same(optimised: Path, expected: str) -> None:
    assert fuzz(["qemu-x86_64", "-cpu", "Nehalem", str(optimised)], SEED, INPUTS) == expected


@pytest.mark.timeout(600)
@pytest.mark.skipif(
    not (shutil.which(ARM64_COMPILER) and shutil.which(ARM64_RUNNER)),
    reason=f"needs {ARM64_COMPILER} and {ARM64_RUNNER} (Debian: g++-aarch64-linux-gnu, qemu-user)",
)
@pytest.mark.slow
def test_arm64_computes_the_same(tmp_path: Path, expected: str) -> None:
    driver = build_fuzz_driver(tmp_path, ARM64)
    assert fuzz([ARM64_RUNNER, str(driver)], SEED, INPUTS) == expected
