"""The policy and the value function, which share all but the last layer."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mario_agents.nn.encoders import Encoder
from mario_agents.nn.init import orthogonal


class PolicyValue(NamedTuple):
    """What :class:`ActorCritic` says about ``B`` observations; both float32.

    Attributes:
        logits: ``(B, actions)``, unnormalised log-probabilities of the actions.
        value: ``(B,)``, the discounted reward that it expects.
    """

    logits: Tensor
    value: Tensor


class ActorCritic(nn.Module):
    """An encoder, a layer of ``hidden`` units, and two heads.

    Small weights in the policy's last layer make all actions nearly equally likely at first, which
    Andrychowicz et al., "What Matters in On-Policy Reinforcement Learning?" (ICLR 2021, section
    3.2), found to matter more than most other choices.
    """

    def __init__(self, encoder: Encoder, actions: int, *, hidden: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.trunk = orthogonal(nn.Linear(encoder.features, hidden))
        self.policy = orthogonal(nn.Linear(hidden, actions), gain=0.01)
        self.value = orthogonal(nn.Linear(hidden, 1), gain=1.0)

    def forward(self, obs: Tensor) -> PolicyValue:
        features = torch.relu(self.trunk(self.encoder(obs)))
        return PolicyValue(self.policy(features).float(), self.value(features).squeeze(1).float())
