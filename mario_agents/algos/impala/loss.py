"""The loss of a batch of unrolls."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from mario_agents.algos.impala.unrolled import Unrolled
from mario_agents.core.types import Batch
from mario_agents.ops.policy_gradient import (
    action_log_prob,
    categorical_entropy,
    categorical_kl,
    clip_fraction,
    clipped_surrogate,
    normalized,
    normalized_by_group,
)
from mario_agents.ops.regression import regression_error
from mario_agents.ops.vtrace import Bounds, vtrace
from mario_envkit.game import tiles

if TYPE_CHECKING:
    from mario_agents.algos.impala.config import ImpalaConfig


class ImpalaLoss(NamedTuple):
    """Scalars, and ``priority`` ``(B,)``; all but ``loss`` are for the metrics and detached."""

    loss: Tensor
    policy_loss: Tensor
    value_loss: Tensor
    entropy: Tensor
    kl: Tensor
    kl_old: Tensor
    rho: Tensor
    trusted: Tensor
    clip_fraction: Tensor
    explained_variance: Tensor
    priority: Tensor


def impala_loss(now: Unrolled, batch: Batch, config: ImpalaConfig) -> ImpalaLoss:
    """Policy gradient, value loss and entropy bonus: section 4.2 of Espeholt et al. (2018).

    Each is the mean over all steps, of which those outside of the trust region count nothing.

    Args:
        now: what the network says now.
        batch: ``action`` int64, ``reward`` float32, ``terminated`` and ``truncated`` bool
            ``(T, B)``; ``logits`` ``(T, B, actions)`` of the policy that played; ``weight``,
            ``is_replayed`` and ``entropy_beta`` ``(B,)``, and ``gamma`` if that changes.
        config: says how.
    """
    shape, action = batch["action"].shape, batch["action"].flatten()
    logits, played = now.logits.flatten(0, 1), batch["logits"].flatten(0, 1)
    log_prob = action_log_prob(logits, action).reshape(shape)
    with torch.no_grad():
        played_log_prob = action_log_prob(played, action).reshape(shape)
        log_rho = log_prob - played_log_prob
        moved = categorical_kl(logits, played).reshape(shape)
    limit = config.trust_region
    mask = None if limit is None else moved <= limit
    corrected = config.returns == "vtrace"
    target, advantage, pg_rho = vtrace(
        log_rho if corrected else torch.zeros_like(log_rho),
        batch["reward"],
        now.value.detach(),
        now.final_value.detach(),
        batch["terminated"],
        batch["truncated"],
        gamma=batch.get("gamma", config.gamma),
        trace_lambda=config.trace_lambda,
        bounds=Bounds(config.rho_bar, config.c_bar, config.pg_rho_bar, config.leak),
        mask=mask,
    )
    value, error = now.value[:-1], target - now.value[:-1].detach()
    weight = batch["weight"].expand(shape)
    if mask is not None:
        weight = weight * mask
    signal = _scaled(advantage, batch, config.normalize_advantage)
    if config.pg_clip is None:
        gain, clipped = weight * pg_rho * log_prob * signal, torch.zeros_like(advantage[0, 0])
    else:
        clipped = clip_fraction(log_prob.detach(), played_log_prob, config.pg_clip)
        gain = weight * clipped_surrogate(log_prob, played_log_prob, signal, config.pg_clip)
    policy_loss = -gain.mean()
    value_loss = (weight * regression_error(value, target, huber=config.value_huber)).mean()
    entropy = categorical_entropy(logits).reshape(shape)
    bonus = (weight * batch["entropy_beta"] * entropy).mean()
    return ImpalaLoss(
        loss=policy_loss + config.value_coef * value_loss - bonus,
        policy_loss=policy_loss.detach(),
        value_loss=value_loss.detach(),
        entropy=entropy.mean().detach(),
        kl=_mean(moved, ~batch["is_replayed"]),
        kl_old=_mean(moved, batch["is_replayed"]),
        rho=log_rho.clamp(max=math.log(config.rho_bar)).exp().mean(),
        trusted=torch.ones_like(policy_loss) if mask is None else mask.float().mean(),
        clip_fraction=clipped,
        explained_variance=1.0 - error.var() / target.var(),
        priority=error.abs().mean(dim=0),
    )


def _scaled(advantage: Tensor, batch: Batch, within: str) -> Tensor:
    """Advantages ``(T, B)`` as they count, see :class:`~.config.ImpalaConfig`."""
    if within == "none":
        return advantage
    if within == "batch":
        return normalized(advantage)
    newest = batch["obs"][:-1].reshape(*advantage.shape, -1, *tiles.SHAPE)[:, :, -1]
    level = newest[:, :, tiles.LEVEL[0], tiles.LEVEL[1]]
    return normalized_by_group(advantage, level, groups=256)


def _mean(values: Tensor, games: Tensor) -> Tensor:
    """Of ``(T, B)`` over some games; 0 if there are none."""
    return (values.mean(dim=0) * games).sum() / games.sum().clamp(min=1)
