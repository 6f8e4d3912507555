"""Confidence intervals for what evaluations measure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np


def wilson_interval(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for a proportion, without continuity correction.

    It keeps its coverage for few trials and for proportions near 0 and 1, where the textbook
    interval (p +- z * sqrt(p(1-p)/n)) collapses. E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209;
    recommended by Brown, Cai and DasGupta, Statistical Science 16 (2001) 101.

    Raises:
        ValueError: unless ``0 <= successes <= trials`` and ``trials >= 1``.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes in {trials} trials make no proportion")
    z = _quantile(confidence)
    p = successes / trials
    centre = (p + z * z / (2 * trials)) / (1 + z * z / trials)
    spread = math.sqrt(p * (1 - p) / trials + (z / (2 * trials)) ** 2)
    half = z * spread / (1 + z * z / trials)
    # At the ends the bound is 0 or 1 exactly; rounding must not move it outside.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == trials else min(1.0, centre + half)
    return low, high


def bootstrap_interval(
    values: Sequence[float], confidence: float = 0.95, *, resamples: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean.

    Returns and distances are skewed and often have two humps (died early, reached the flag), which
    is why no normal distribution is assumed. Deterministic for a seed. B. Efron and R. Tibshirani,
    An Introduction to the Bootstrap (1993), chapter 13. It is too narrow for very few values (for
    one value it has no width).

    Raises:
        ValueError: if there are no values.
    """
    data = np.asarray(values, dtype=np.float64)
    if data.size == 0:
        raise ValueError("the mean of no values has no interval")
    _quantile(confidence)
    rng = np.random.default_rng(seed)
    means = data[rng.integers(data.size, size=(resamples, data.size))].mean(axis=1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def _quantile(confidence: float) -> float:
    """How many standard deviations hold ``confidence`` of a normal distribution, both sides."""
    if not 0 < confidence < 1:
        raise ValueError(f"the confidence must lie between 0 and 1, got {confidence}")
    return NormalDist().inv_cdf(0.5 + confidence / 2)
