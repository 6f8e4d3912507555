"""The values of one process's metrics at a moment, as they are sent."""

from __future__ import annotations

import math

import msgspec


class RollingMean(msgspec.Struct, frozen=True, array_like=True):
    """The mean of a window and how many values are in it; ``(NaN, 0)`` of an empty one."""

    mean: float
    count: int


class MetricSnapshot(msgspec.Struct, frozen=True):
    """Values by name of metric, by kind.

    Attributes:
        counters: totals.
        gauges: current values; NaN where nothing was tracked.
        rolling: means with their weights.
        started_from: the totals that the process began with: 0, or those of the process that it
            takes the place of. What it counted itself is ``counters - started_from``.
    """

    counters: dict[str, float]
    gauges: dict[str, float]
    rolling: dict[str, RollingMean]
    started_from: dict[str, float]

    def values(self) -> dict[str, float]:
        """One number per metric."""
        means = {name: rolling.mean for name, rolling in self.rolling.items()}
        return {**self.counters, **self.gauges, **means}

    def get(self, name: str) -> float:
        """One number; NaN for a metric that is not here."""
        for group in (self.counters, self.gauges):
            if name in group:
                return group[name]
        return self.rolling[name].mean if name in self.rolling else math.nan
