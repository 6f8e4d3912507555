"""The loss of proximal policy optimization."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from mario_agents.algos.ppo.networks import PolicyValue
from mario_agents.core.types import Batch
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
            ``value_target`` and ``entropy_coef``, each ``(B,)``.
        clip, value_coef, value_clip, value_huber: see :class:`~.config.PPOConfig`.
        normalize: bring the advantages of the batch to mean 0 and deviation 1.
    """
    log_prob = action_log_prob(policy_value.logits, batch["action"])
    advantage = normalized(batch["advantage"]) if normalize else batch["advantage"]
    policy = clipped_policy_loss(log_prob, batch["old_log_prob"], advantage, clip)
    value = value_loss(
        policy_value.value,
        batch["value_target"],
        old_value=batch["old_value"],
        clip=value_clip,
        huber=value_huber,
    )
    entropy = categorical_entropy(policy_value.logits)
    bonus = (batch["entropy_coef"] * entropy).mean()
    measured = log_prob.detach()
    return PPOLoss(
        loss=policy + value_coef * value - bonus,
        policy_loss=policy.detach(),
        value_loss=value.detach(),
        entropy=entropy.mean().detach(),
        approx_kl=approximate_kl(measured, batch["old_log_prob"]),
        clip_fraction=clip_fraction(measured, batch["old_log_prob"], clip),
    )
