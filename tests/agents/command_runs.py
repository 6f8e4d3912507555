"""What tests of the command line share: how a refusal looks, and what is in a folder."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any


def digest(folder: Path) -> dict[str, str]:
    """Content of every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def assert_refused(done: Any, *parts: str) -> None:
    """Exit status 2 and one sentence on the standard error stream that contains ``parts``."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    for part in parts:
        assert part in done.stderr
    assert done.stderr.startswith("mario-agents: ")
    assert done.stderr.count("\n") == 1
