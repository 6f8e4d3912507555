"""The loss of proximal policy optimization."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from mario_agents.core.types import Batch
from mario_agents.nn.actor_critic import PolicyValue
from mario_agents.ops.policy_gradient import (
    action_log_prob,
    approximate_kl,
    categorical_entropy,
    clip_fraction,
    clipped_policy_loss,
    normalized,
    value_loss,
)


class PPOLoss(NamedTuple):
    """Scalars; all but ``loss`` are for the metrics and detached."""

    loss: Tensor
    policy_loss: Tensor
    value_loss: Tensor
    entropy: Tensor
    approx_kl: Tensor
    clip_fraction: Tensor


def ppo_loss(
    policy_value: PolicyValue,
    batch: Batch,
    *,
    clip: float,
    value_coef: float,
    value_clip: float | None,
    value_huber: float | None,
    normalize: bool,
) -> PPOLoss:
    """Clipped objective, value loss and entropy bonus: equation 9 of Schulman et al. (2017).

    Args:
        policy_value: of ``batch["obs"]`` by the network as it is now.
        batch: ``action`` int64, and float32 ``old_log_prob``, ``old_value``, ``advantage``,
            ``value_target`` and ``entropy_coef``, each ``(T, B)``.
        clip, value_coef, value_clip, value_huber: see :class:`~.config.PPOConfig`.
        normalize: bring the advantages of the batch to mean 0 and deviation 1.
    """
    logits, values = policy_value.logits.flatten(0, 1), policy_value.value.flatten()
    old_log_prob, advantage = batch["old_log_prob"].flatten(), batch["advantage"].flatten()
    log_prob = action_log_prob(logits, batch["action"].flatten())
    if normalize:
        advantage = normalized(advantage)
    policy = clipped_policy_loss(log_prob, old_log_prob, advantage, clip)
    value = value_loss(
        values,
        batch["value_target"].flatten(),
        old_value=batch["old_value"].flatten(),
        clip=value_clip,
        huber=value_huber,
    )
    entropy = categorical_entropy(logits)
    bonus = (batch["entropy_coef"].flatten() * entropy).mean()
    measured = log_prob.detach()
    return PPOLoss(
        loss=policy + value_coef * value - bonus,
        policy_loss=policy.detach(),
        value_loss=value.detach(),
        entropy=entropy.mean().detach(),
        approx_kl=approximate_kl(measured, old_log_prob),
        clip_fraction=clip_fraction(measured, old_log_prob, clip),
    )
