"""How long this process has been waiting for others, without the time in which it did not run.

Who is stopped (Ctrl-Z), or starved on a full machine, hears nobody, and those that it waits for
were probably stopped with it: their silence is none.
"""

from __future__ import annotations

import time
from collections.abc import Callable

LOOK_SECONDS = 1.0
"""Whoever waits looks at least so often; more time between two looks counts as so much."""


class AttendedClock:
    """Seconds since it was made, in which this process looked at it."""

    def __init__(self) -> None:
        self._seconds, self._last = 0.0, time.monotonic()

    def __call__(self) -> float:
        """The time; to be read at least once in :data:`LOOK_SECONDS`."""
        now = time.monotonic()
        self._seconds += min(now - self._last, LOOK_SECONDS)
        self._last = now
        return self._seconds


def wait_attended(look: Callable[[float], object], seconds: float) -> bool:
    """Wait until ``look`` finds something; returns whether it did within ``seconds``.

    Args:
        look: waits so many seconds at most; returns whether there is what is waited for.
        seconds: of this process's own time.
    """
    clock = AttendedClock()
    while True:
        left = seconds - clock()
        if look(max(min(left, LOOK_SECONDS), 0.0)):
            return True
        if left <= 0:
            return False
