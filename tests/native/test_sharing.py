"""Several threads use one game: as with one thread, or a sentence, but never a crash."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mario_envkit.emulator import native
from mario_envkit.emulator.backends import available_backends
from tests.native.sharing.__main__ import CASES
from tests.waiting import PATIENCE

pytestmark = pytest.mark.skipif(not native.is_available(), reason="the native core is not built")


@pytest.mark.parametrize("case", CASES)
@pytest.mark.slow
def test_threads_share_a_game(case):
    if case.startswith("nes_py") and "nes-py" not in available_backends():
        pytest.skip("nes-py is not installed")
    child = subprocess.run(
        [sys.executable, "-m", "tests.native.sharing", case],
        capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    assert child.returncode == 0, f"exit status {child.returncode}\n{child.stderr}"
