"""n-step returns across the ends of episodes (NumPy, vectorised over a batch)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class NStep(NamedTuple):
    """What :func:`n_step_returns` gives, each ``(B,)``.

    Attributes:
        reward: float32, the discounted sum of the rewards up to and including the last step.
        discount: float32, what the value of the observation after the last step is multiplied by:
            ``gamma ** (last + 1)``, or 0 if the last step terminated the episode.
        last: int64, offset ``0..n-1`` of the last step that belongs to the sum.
    """

    reward: NDArray[np.float32]
    discount: NDArray[np.float32]
    last: NDArray[np.int64]


def n_step_returns(
    reward: NDArray[np.float32],
    terminated: NDArray[np.bool_],
    truncated: NDArray[np.bool_],
    gamma: float,
) -> NStep:
    """Sum up to ``n`` rewards, but never across the end of an episode.

    Sutton and Barto, "Reinforcement Learning: An Introduction", 2nd edition, equation 7.1. A
    termination ends the sum and nothing comes after it; a truncation also ends the sum, but the
    game would have gone on, so the value of its final observation still counts (Pardo et al., "Time
    Limits in Reinforcement Learning", ICML 2018). A step that is both counts as terminated.

    Args:
        reward, terminated, truncated: ``(B, n)``, row ``b`` holds ``n`` consecutive steps; what
            stands behind the first end in a row is ignored.
        gamma: discount for each step.
    """
    batch, n = reward.shape
    ended = terminated | truncated
    last = np.where(ended.any(axis=1), ended.argmax(axis=1), n - 1).astype(np.int64)
    powers = np.power(float(gamma), np.arange(n + 1))
    counts = np.arange(n) <= last[:, None]
    # ``where`` before the product: what stands behind an end may be anything, even NaN.
    total = (np.where(counts, reward, 0.0) * powers[:n]).sum(axis=1)
    discount = np.where(terminated[np.arange(batch), last], 0.0, powers[last + 1])
    return NStep(total.astype(np.float32), discount.astype(np.float32), last)


def n_step_td_errors(
    reward: NDArray[np.float32],
    terminated: NDArray[np.bool_],
    truncated: NDArray[np.bool_],
    value: NDArray[np.float32],
    next_value: NDArray[np.float32],
    gamma: float,
) -> NDArray[np.float32]:
    """``R + discount * V(last observation) - Q``, from values that were computed while playing.

    The errors by which actors order their transitions before any learner has seen them (Horgan et
    al., "Distributed Prioritized Experience Replay", ICLR 2018, algorithm 1, line 11). The actor's
    network both chooses and values the last action, where the learner has a target network.

    Args:
        reward, terminated, truncated, gamma: as of :func:`n_step_returns`.
        value: ``(B,)``, of the first step's action.
        next_value: ``(B, n)``, of the best action where each step led to.

    Returns:
        ``(B,)``, positive where it went better than expected.
    """
    returns = n_step_returns(reward, terminated, truncated, gamma)
    bootstrap = next_value[np.arange(len(value)), returns.last]
    # ``where``: what follows a termination may be anything, even NaN.
    future = np.where(returns.discount > 0, returns.discount * bootstrap, np.float32(0))
    return np.asarray(returns.reward + future - value)
