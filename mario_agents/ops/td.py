"""Temporal-difference targets and losses."""

from __future__ import annotations

import torch
from torch import Tensor

from mario_agents.ops.regression import regression_error


def double_q_target(
    q_next_online: Tensor, q_next_target: Tensor, reward: Tensor, discount: Tensor
) -> Tensor:
    """The double Q-learning target: one network chooses the next action, the other one values it.

    ``y = r + discount * Q_target(s', argmax_a Q_online(s', a))``, equation 4 of van Hasselt, Guez
    and Silver, "Deep Reinforcement Learning with Double Q-learning" (AAAI 2016), for n-step
    rewards.

    Args:
        q_next_online, q_next_target: ``(B, A)`` action values of the next observation.
        reward: ``(B,)``, the (n-step) reward.
        discount: ``(B,)``, ``gamma**k`` where the next observation is ``k`` steps later, or 0 where
            the episode terminated.

    Returns:
        ``(B,)``, detached.
    """
    with torch.no_grad():
        best = q_next_online.argmax(dim=1, keepdim=True)
        return reward + discount * q_next_target.gather(1, best).squeeze(1)


def weighted_td_loss(
    prediction: Tensor, target: Tensor, weight: Tensor, *, huber: float | None
) -> Tensor:
    """The batch mean of ``weight`` times the error of ``prediction``.

    Args:
        prediction, target: ``(B,)``.
        weight: ``(B,)``, importance weights
            (:func:`mario_agents.ops.prioritized.importance_weights`), or ones.
        huber: as in :func:`~mario_agents.ops.regression.regression_error`.
    """
    return (weight * regression_error(prediction, target, huber=huber)).mean()
