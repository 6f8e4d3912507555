"""Advantages against a recursive definition, and against published numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mario_agents.ops.gae import gae


def lambda_returns_by_definition(
    reward: np.ndarray,
    value: np.ndarray,
    final_value: np.ndarray,
    terminated: np.ndarray,
    truncated: np.ndarray,
    gamma: float,
    gae_lambda: float,
) -> np.ndarray:
    """The lambda-weighted mean of all n-step returns (Sutton and Barto, equation 12.3)."""
    steps, count = reward.shape
    result = np.zeros((steps, count))
    for env in range(count):
        for start in range(steps):
            n_step, total = [], 0.0
            for t in range(start, steps):
                power = gamma ** (t - start)
                total += power * reward[t, env]
                over = bool(terminated[t, env] or truncated[t, env])
                if terminated[t, env]:
                    rest = 0.0
                elif truncated[t, env]:
                    rest = final_value[t, env]
                else:
                    rest = value[t + 1, env]
                n_step.append(total + power * gamma * rest)
                if over:
                    break
            weights = [(1 - gae_lambda) * gae_lambda**n for n in range(len(n_step) - 1)]
            weights.append(gae_lambda ** (len(n_step) - 1))
            result[start, env] = np.dot(weights, n_step)
    return result


@given(data=st.data(), steps=st.integers(1, 7), envs=st.integers(1, 3))
def test_gae_is_the_lambda_return_less_the_value(data, steps, envs):
    numbers, flags = st.floats(-5, 5), st.booleans()
    reward = data.draw(arrays(np.float64, (steps, envs), elements=numbers))
    value = data.draw(arrays(np.float64, (steps + 1, envs), elements=numbers))
    final_value = data.draw(arrays(np.float64, (steps, envs), elements=numbers))
    terminated = data.draw(arrays(np.bool_, (steps, envs), elements=flags))
    truncated = data.draw(arrays(np.bool_, (steps, envs), elements=flags))
    # What need not be known must not matter.
    final_value = np.where(truncated & ~terminated, final_value, np.nan)
    gamma, gae_lambda = data.draw(st.floats(0, 1)), data.draw(st.floats(0, 1))
    arguments = (reward, value, final_value, terminated, truncated, gamma, gae_lambda)
    expected = lambda_returns_by_definition(*arguments) - value[:-1]
    np.testing.assert_allclose(gae(*arguments), expected, rtol=1e-9, atol=1e-9)


REWARD = np.array([101, 102, 103, 200, 104, 105, 106, 201, 107, 108, 109, 202.0])
NEXT_VALUE = np.array([2, 3, 4, -1, 5, 6, 7, -2, 8, 9, 10, -3.0])
END = np.array([0, 0, 0, 1] * 3, dtype=bool)
TERMINATED = [454.8344, 376.1143, 291.298, 200, 464.561, 383.1085, 295.387, 201,
              474.2876, 390.1027, 299.476, 202]  # fmt: skip
TRUNCATED = [454.0109, 375.2386, 290.3669, 199.01, 462.9138, 381.3571, 293.5248, 199.02,
             474.2876, 390.1027, 299.476, 202]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("limits", "expected"), [(False, TERMINATED), (True, TRUNCATED)])
def test_gae_gives_the_numbers_of_tianshou(dtype, limits, expected):
    """From Tianshou's test_returns.py: gamma 0.99, lambda 0.95, three episodes of four steps; in
    the second table a time limit ends the first two."""
    truncated = END & limits & (np.arange(12) < 8)
    value = np.concatenate([NEXT_VALUE[-1:], NEXT_VALUE]).astype(dtype)[:, None]
    advantage = gae(
        REWARD.astype(dtype)[:, None],
        value,
        NEXT_VALUE.astype(dtype)[:, None],
        (END & ~truncated)[:, None],
        truncated[:, None],
        gamma=0.99,
        gae_lambda=0.95,
    )
    assert advantage.dtype == dtype
    np.testing.assert_allclose((advantage + value[:-1])[:, 0], expected, rtol=1e-5)


def test_arrays_that_do_not_fit_are_refused():
    ones, flags = np.ones((3, 2)), np.zeros((3, 2), dtype=bool)
    with pytest.raises(ValueError, match=r"\(T \+ 1, N\)"):
        gae(ones, ones, ones, flags, flags, 0.9, 0.95)
