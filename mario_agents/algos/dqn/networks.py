"""The online network and its slowly following target."""

from __future__ import annotations

import copy
from typing import Literal

from torch import Tensor, nn

from mario_agents.config import Precision
from mario_agents.nn.device import arithmetic
from mario_agents.nn.dueling import DuelingHead
from mario_agents.nn.encoders import Encoder
from mario_agents.ops.averages import polyak_update


class QNetwork(nn.Module):
    """Action values ``(B, actions)`` of uint8 observations, which ``encoder`` takes.

    It computes in ``precision``, all but the last layer.
    """

    def __init__(
        self,
        encoder: Encoder,
        actions: int,
        *,
        hidden: int,
        q_scale: float,
        precision: Precision = "float32",
    ) -> None:
        super().__init__()
        self.encoder, self.precision = encoder, precision
        self.head = DuelingHead(encoder.features, hidden, actions, q_scale)

    def forward(self, obs: Tensor) -> Tensor:
        with arithmetic(self.precision, obs.device):
            q: Tensor = self.head(self.encoder(obs))
        return q


class DoubleDQN(nn.Module):
    """Two networks of one shape: ``online`` is trained, ``target`` is moved towards it."""

    def __init__(self, online: nn.Module) -> None:
        super().__init__()
        self.online = online
        self.target = copy.deepcopy(online).requires_grad_(False)

    def forward(self, obs: Tensor, network: Literal["online", "target"] = "online") -> Tensor:
        q: Tensor = (self.online if network == "online" else self.target)(obs)
        return q

    def update_target(self, tau: float) -> None:
        """Move the target network a share ``tau`` of the way to the online one."""
        polyak_update(self.target.parameters(), self.online.parameters(), tau)
