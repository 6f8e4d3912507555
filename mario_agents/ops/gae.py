"""Generalized advantage estimation across the ends of episodes (NumPy)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


def gae(
    reward: Floats,
    value: Floats,
    final_value: Floats,
    terminated: NDArray[np.bool_],
    truncated: NDArray[np.bool_],
    gamma: float,
    gae_lambda: float,
) -> Floats:
    """Advantages of ``T`` steps of ``N`` environments, equations 11 to 16 of Schulman et al.,
    "High-Dimensional Continuous Control Using Generalized Advantage Estimation" (ICLR 2016)::

        delta[t]     = reward[t] + gamma * next[t] - value[t]
        advantage[t] = delta[t] + gamma * gae_lambda * advantage[t + 1]

    Nothing is summed across an end. ``next`` is the value of the observation *after* the step: 0
    where the step terminated the episode; where it truncated it, the game would have gone on, so it
    is ``final_value`` (Pardo et al., "Time Limits in Reinforcement Learning", ICML 2018); otherwise
    ``value[t + 1]``. A step that is both counts as terminated. Whoever plays from snapshots says
    ``terminated`` where a life was lost: the game goes on, but somewhere else.

    Args:
        reward: ``(T, N)``.
        value: ``(T + 1, N)``, of the observations that the actions were chosen on, and last of the
            observations after the last step.
        final_value: ``(T, N)``, of the last observation of a truncated episode; anywhere else it
            may be anything, even NaN.
        terminated, truncated: ``(T, N)``.
        gamma: discount for each step.
        gae_lambda: 0 trusts the values (one-step errors), 1 the rewards (Monte Carlo).

    Returns:
        ``(T, N)`` of the dtype of ``value``; ``advantage + value[:-1]`` is the lambda-return, which
        is what the values should become.

    Raises:
        ValueError: if the shapes do not fit together.
    """
    steps = len(reward)
    shapes = {array.shape for array in (reward, final_value, terminated, truncated)}
    if len(shapes) != 1 or value.shape != (steps + 1, *reward.shape[1:]):
        raise ValueError(
            f"gae needs arrays of one shape (T, N) and values (T + 1, N), got {sorted(shapes)} and "
            f"{value.shape}"
        )
    # ``where`` and no products with masks: NaN times 0 is NaN.
    following = np.where(truncated, final_value, value[1:])
    delta = reward + gamma * np.where(terminated, 0, following) - value[:-1]
    ended = terminated | truncated
    advantage = np.empty_like(value[:-1])
    running = np.zeros_like(value[0])
    for t in reversed(range(steps)):
        running = delta[t] + gamma * gae_lambda * np.where(ended[t], 0, running)
        advantage[t] = running
    return advantage
