"""Training computes what was recorded."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RECORDED_WITH = json.loads((HERE / "record.json").read_text())["torch"]


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="recorded on an x86-64 processor"
)
@pytest.mark.skipif(
    torch.__version__.split("+")[0] != RECORDED_WITH, reason=f"recorded with torch {RECORDED_WITH}"
)
@pytest.mark.slow
def test_weights_are_those_recorded():
    # A process of its own: its arithmetic must be chosen before torch is loaded.
    result = subprocess.run(
        [sys.executable, "-m", "tests.golden"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
