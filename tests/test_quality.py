"""Style, types and the direction of imports, checked like everything else."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
        ["lint-imports", "--no-cache"],
    ],
    ids=lambda command: command[0] + (" format" if "format" in command else ""),
)
def test_clean(command):
    module = {"lint-imports": "importlinter.cli"}.get(command[0], command[0])
    if importlib.util.find_spec(module.split(".")[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    if command[0] == "mypy" and sys.version_info[:2] != (3, 11):
        pytest.skip("types are checked on Python 3.11, with the versions that CI installs there")
    program = Path(sys.executable).with_name(command[0])
    result = subprocess.run(
        [str(program), *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
