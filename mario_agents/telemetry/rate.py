"""The rate of a counter over the last ten seconds."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable

RATE_SECONDS = 10.0


class Rate:
    """Growth of a count per second over the last ten seconds or so of wall-clock time."""

    def __init__(self, count: float = 0, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._history: deque[tuple[float, float]] = deque([(clock(), count)])

    def update(self, count: float) -> float:
        """Tell the count of this moment; returns the rate, see :attr:`per_second`."""
        now = self._clock()
        self._history.append((now, count))
        while len(self._history) > 2 and now - self._history[1][0] > RATE_SECONDS:
            self._history.popleft()
        return self.per_second

    @property
    def per_second(self) -> float:
        """The rate as of the last update; NaN before there is one."""
        (start, first), (end, last) = self._history[0], self._history[-1]
        return (last - first) / (end - start) if end > start else math.nan
