"""Temporal-difference targets and losses."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


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


def weighted_huber_loss(prediction: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """The batch mean of ``weight * huber(target - prediction)`` with the knee at 1.

    The Huber loss is quadratic for small errors and linear for large ones, so that no single
    surprise dominates a batch (the "error clipping" of Mnih et al., "Human-level control through
    deep reinforcement learning", Nature 2015, page 7). ``weight`` holds importance weights
    (:func:`mario_agents.ops.prioritized.importance_weights`), or ones. All arguments are ``(B,)``.
    """
    return (weight * functional.smooth_l1_loss(prediction, target, reduction="none")).mean()
