"""What success rates say over many levels: a mean alone hides the stages that nobody clears."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True, slots=True)
class Spread:
    """Success rates of several levels.

    Attributes:
        mean: over the levels, each with the same weight.
        worst_tenth: mean of the lowest tenth of them, rounded up to whole levels.
        worst: the lowest one.
        worst_level: the first level that has it.
    """

    mean: float
    worst_tenth: float
    worst: float
    worst_level: str

    @classmethod
    def of(cls, rates: Mapping[str, float]) -> Spread:
        """The spread of rates by level.

        Raises:
            ValueError: if there are none.
        """
        if not rates:
            raise ValueError("no level has no spread")
        lowest = sorted(rates.values())[: ceil(len(rates) / 10)]
        worst = min(rates, key=lambda level: rates[level])
        return cls(
            mean=sum(rates.values()) / len(rates),
            worst_tenth=sum(lowest) / len(lowest),
            worst=rates[worst],
            worst_level=worst,
        )
