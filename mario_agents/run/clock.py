"""How long a run has been training."""

from __future__ import annotations

import time


class TrainingClock:
    """Wall-clock seconds of training; those before a resume count, those between do not.

    Imports, building the networks and opening the games come before it begins, and what is done
    after training has ended (the last evaluation, the last checkpoint) is not counted either.

    Args:
        began: when training began, on the clock of :func:`time.monotonic`, which all processes of a
            machine share; None is now.
    """

    def __init__(self, began: float | None = None) -> None:
        self._began = time.monotonic() if began is None else began
        self._before = 0.0
        self._ended: float | None = None

    def begin(self) -> None:
        """Training begins now."""
        self._began = time.monotonic()

    def go_on_from(self, seconds: float) -> None:
        """A run is resumed that had been trained for so long."""
        self._before = seconds

    def end(self) -> None:
        """Training is over: the clock stands still from now on."""
        self._ended = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds of training so far."""
        now = time.monotonic() if self._ended is None else self._ended
        return self._before + now - self._began
