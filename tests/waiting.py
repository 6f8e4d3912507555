"""Waiting for what other threads and processes do, on machines that are slow and busy."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE = 240.0
"""Seconds until a test gives up; a machine that is idle never needs more than a few."""


def pause() -> None:
    """Let others work."""
    time.sleep(0.02)


def until(
    condition: Callable[[], T],
    meanwhile: Callable[[], object] = pause,
    told: Callable[[], object] = lambda: "it never happened",
    *,
    patience: float = PATIENCE,
) -> T:
    """Wait until a condition holds, and return what it returned.

    Args:
        condition: what has to become true.
        meanwhile: called between two looks; it pauses, or does what brings the condition about.
        told: what is known of the cause if it never does.
        patience: seconds until that is an error.
    """
    deadline = time.monotonic() + patience
    while not (found := condition()):
        assert time.monotonic() < deadline, told()
        meanwhile()
    return found
