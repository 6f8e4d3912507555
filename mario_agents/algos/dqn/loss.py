"""The temporal-difference loss of double DQN, and that of demonstrations."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mario_agents.algos.dqn.networks import DoubleDQN
from mario_agents.core.types import Batch
from mario_agents.ops.imitation import margin_loss
from mario_agents.ops.td import double_q_target, weighted_td_loss


class TDLoss(NamedTuple):
    """The scalar loss; ``(B,)`` detached: values of the taken actions, and their errors; and
    ``(B, A)``, with gradients, values of all actions."""

    loss: Tensor
    q: Tensor
    error: Tensor
    values: Tensor


def ddqn_loss(model: DoubleDQN, batch: Batch, *, huber: float | None) -> TDLoss:
    """The error of ``Q(s, a)`` against the double-Q target, weighted by ``batch["weight"]``.

    ``huber`` as in :func:`~mario_agents.ops.td.weighted_td_loss`.
    """
    values = model(batch["obs"])
    q = values.gather(1, batch["action"][:, None]).squeeze(1)
    with torch.no_grad():
        target = double_q_target(
            model(batch["next_obs"]),
            model(batch["next_obs"], network="target"),
            batch["reward"],
            batch["discount"],
        )
    loss = weighted_td_loss(q, target, batch["weight"], huber=huber)
    return TDLoss(loss, q.detach(), (target - q).detach(), values)


class DemonstrationLoss(NamedTuple):
    """The scalar loss, and detached: its mean over demonstrations, and the share of these whose
    action has the largest value."""

    loss: Tensor
    margin: Tensor
    accuracy: Tensor


def demonstration_loss(values: Tensor, batch: Batch, *, margin: float) -> DemonstrationLoss:
    """The mean over a batch of the :func:`~mario_agents.ops.imitation.margin_loss` of what was
    demonstrated, with ``batch["weight"]``; transitions of one's own count as 0."""
    action, shown = batch["action"], batch["demonstrated"].to(values.dtype)
    error = margin_loss(values, action, margin=margin)
    right = (values.detach().argmax(dim=1) == action).to(values.dtype)
    count = shown.sum().clamp(min=1.0)
    return DemonstrationLoss(
        (batch["weight"] * shown * error).mean(),
        (shown * error.detach()).sum() / count,
        (shown * right).sum() / count,
    )
