"""What several of these tests need."""

from __future__ import annotations

import pytest

from mario_envkit.curriculum.runs import Run
from mario_envkit.curriculum.search import solve
from mario_envkit.emulator import native


@pytest.fixture(scope="session")
def way() -> Run:
    """A way through 1-1."""
    if not native.is_available():
        pytest.skip("the native core is not built here")
    run, _ = solve("1-1", seed=0)
    return run
