"""The temporal-difference loss of double DQN."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mario_agents.algos.dqn.networks import DoubleDQN
from mario_agents.core.types import Batch
from mario_agents.ops.td import double_q_target, weighted_td_loss


class TDLoss(NamedTuple):
    """The scalar loss, and ``(B,)`` detached: values of the taken actions, and their errors."""

    loss: Tensor
    q: Tensor
    error: Tensor


def ddqn_loss(model: DoubleDQN, batch: Batch, *, huber: float | None) -> TDLoss:
    """The error of ``Q(s, a)`` against the double-Q target, weighted by ``batch["weight"]``.

    ``huber`` as in :func:`~mario_agents.ops.td.weighted_td_loss`.
    """
    q = model(batch["obs"]).gather(1, batch["action"][:, None]).squeeze(1)
    with torch.no_grad():
        target = double_q_target(
            model(batch["next_obs"]),
            model(batch["next_obs"], network="target"),
            batch["reward"],
            batch["discount"],
        )
    loss = weighted_td_loss(q, target, batch["weight"], huber=huber)
    return TDLoss(loss, q.detach(), (target - q).detach())
