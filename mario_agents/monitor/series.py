"""A time series of bounded size, for the dashboard's curves."""

from __future__ import annotations

import math
from dataclasses import dataclass

MAX_POINTS = 240
"""A curve in a terminal has no more columns than this."""


@dataclass(frozen=True, slots=True)
class Series:
    """Points at equal distances in time; where there are too many, neighbours become one.

    Attributes:
        points: the numbers, the oldest first; none is NaN or infinite.
        interval: seconds between two points.
        last: time of the latest point, NaN if there is none.
    """

    points: tuple[float, ...] = ()
    interval: float = 2.0
    last: float = math.nan

    def due(self, now: float) -> bool:
        """Whether it is time for another point."""
        return math.isnan(self.last) or not self.last <= now < self.last + self.interval

    def add(self, now: float, value: float) -> Series:
        """With a point more; NaN and infinities are left out."""
        if not math.isfinite(value):
            return self
        points, interval = (*self.points, value), self.interval
        if len(points) > MAX_POINTS:
            pairs = zip(points[0::2], points[1::2], strict=False)
            points, interval = tuple(a / 2 + b / 2 for a, b in pairs), 2 * interval
        return Series(points, interval, now)
