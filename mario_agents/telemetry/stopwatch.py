"""Measures which share of a process's time goes into what."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager


class Stopwatch:
    """Shares of wall-clock time, by name.

    Time counts once: what is measured within something else counts there, and not for what is
    around it. So shares add up to 1 at most, and what they lack was spent on none of them. Of one
    thread.

    Args:
        names: of what is measured; those of gauges.
        clock: seconds since some moment.
    """

    def __init__(
        self, names: Iterable[str], *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._clock = clock
        self._seconds = dict.fromkeys(names, 0.0)
        self._running: list[str] = []
        self._begin = self._mark = clock()

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """A context whose time counts as ``name``.

        Raises:
            KeyError: if that is none of the names.
        """
        if name not in self._seconds:
            raise KeyError(f"no share {name!r}; there are {', '.join(self._seconds)}")
        self._charge()
        self._running.append(name)
        try:
            yield
        finally:
            self._charge()
            self._running.pop()

    def lap(self) -> dict[str, float]:
        """The shares since the last lap, or since the stopwatch was made; then begin anew.

        Returns:
            Each name's share of the time, 0 to 1 (NaN if no time has passed), and ``time_span``:
            the seconds that they are shares of.
        """
        self._charge()
        span, self._begin = self._mark - self._begin, self._mark
        shares = {
            name: seconds / span if span > 0 else math.nan
            for name, seconds in self._seconds.items()
        }
        self._seconds = dict.fromkeys(self._seconds, 0.0)
        return {**shares, "time_span": span}

    def _charge(self) -> None:
        """Add the time since the last look at the clock to what is running."""
        now = self._clock()
        if self._running:
            self._seconds[self._running[-1]] += now - self._mark
        self._mark = now
