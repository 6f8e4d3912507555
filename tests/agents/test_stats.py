"""Confidence intervals against published and exact values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mario_agents.evaluation.intervals import bootstrap_interval, wilson_interval


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # R. G. Newcombe, Statistics in Medicine 17 (1998) 857, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_agrees_with_newcombe(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_proportion_and_is_symmetric(case: tuple[int, int]) -> None:
    successes, trials = case
    low, high = wilson_interval(successes, trials)
    assert 0 <= low <= successes / trials <= high <= 1
    mirrored = wilson_interval(trials - successes, trials)
    assert mirrored == pytest.approx((1 - high, 1 - low))


@given(st.integers(1, 300), st.floats(0.5, 0.99))
def test_wilson_bounds_solve_the_score_equation(trials: int, confidence: float) -> None:
    """The bounds are the p whose score statistic is exactly z: (p_hat - p)^2 = z^2 p(1-p)/n."""
    from statistics import NormalDist

    successes = trials // 3
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    for p in wilson_interval(successes, trials, confidence):
        assert (successes / trials - p) ** 2 == pytest.approx(z * z * p * (1 - p) / trials)


def test_wilson_of_nothing() -> None:
    for successes, trials in ((0, 0), (3, 2), (-1, 2)):
        with pytest.raises(ValueError, match="make no proportion"):
            wilson_interval(successes, trials)
    with pytest.raises(ValueError, match="confidence"):
        wilson_interval(1, 2, confidence=1.0)


def test_bootstrap_approaches_the_normal_interval() -> None:
    """For many values the mean is normal: compare with mean +- 1.96 s / sqrt(n)."""
    values = np.random.default_rng(1).exponential(10.0, size=2000)
    low, high = bootstrap_interval(list(values))
    half = 1.96 * values.std() / np.sqrt(values.size)
    assert low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_bootstrap_against_all_resamples() -> None:
    """Of two values all four resamples are known: means 0, 5, 5, 10."""
    assert bootstrap_interval([0.0, 10.0]) == (0.0, 10.0)
    assert bootstrap_interval([0.0, 10.0], confidence=0.4) == (5.0, 5.0)


def test_bootstrap_is_deterministic_and_inside_the_data() -> None:
    values = [1.0, 2.0, 10.0]
    assert bootstrap_interval(values) == bootstrap_interval(values)
    low, high = bootstrap_interval(values)
    assert 1.0 <= low <= high <= 10.0
    assert bootstrap_interval([3.0]) == (3.0, 3.0)
    with pytest.raises(ValueError, match="no values"):
        bootstrap_interval([])
