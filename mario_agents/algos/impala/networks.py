"""The policy and the value function, which share an encoder and what they remember."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mario_agents.nn.encoders import Encoder
from mario_agents.nn.init import orthogonal
from mario_agents.nn.noisy import NoisyLinear
from mario_agents.nn.recurrent import Core, CoreState


class PolicyValue(NamedTuple):
    """What :class:`RecurrentActorCritic` says about ``T`` steps of ``B`` games; all float32.

    Attributes:
        logits: ``(T, B, actions)``, unnormalised log-probabilities of the actions.
        value: ``(T, B)``, the discounted reward that it expects.
        state: after the last step.
    """

    logits: Tensor
    value: Tensor
    state: CoreState


class RecurrentActorCritic(nn.Module):
    """An encoder, a layer of ``hidden`` units, a core, and two heads.

    The heads compute in float32, so that the probabilities of actions are alike in playing and in
    learning. Small weights in the policy's last layer make all actions nearly equally likely at
    first (Andrychowicz et al., ICLR 2021, section 3.2).

    Args:
        encoder: of one observation.
        core: what remembers; its input has ``hidden`` features.
        actions: how many there are.
        hidden: units.
        noise_sigma: size of the noise in the weights of the heads at first; None is without.

    Attributes:
        noise_size: numbers of noise for one game.
    """

    def __init__(
        self,
        encoder: Encoder,
        core: Core,
        actions: int,
        *,
        hidden: int,
        noise_sigma: float | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.core = encoder, core
        self.trunk = orthogonal(nn.Linear(encoder.features, hidden))
        self.policy = orthogonal(_head(core.features, actions, noise_sigma), gain=0.01)
        self.value = orthogonal(_head(core.features, 1, noise_sigma), gain=1.0)
        self._noise_sizes = [
            head.noise_size for head in (self.policy, self.value) if isinstance(head, NoisyLinear)
        ]
        self.noise_size = sum(self._noise_sizes)

    def encode(self, obs: Tensor) -> Tensor:
        """Features ``(N, hidden)`` of observations ``(N, ...)`` uint8, of whichever games."""
        return torch.relu(self.trunk(self.encoder(obs)))

    def forward(
        self, features: Tensor, state: CoreState, is_first: Tensor, noise: Tensor | None = None
    ) -> PolicyValue:
        """Judge ``T`` steps of ``B`` games.

        Args:
            features: ``(T, B, hidden)``, of :meth:`encode`.
            state: before the first of them.
            is_first: ``(T, B)`` bool, where a game begins anew.
            noise: ``(B, noise_size)``, of :func:`~mario_agents.nn.noisy.draw_noise`; None is none.
        """
        features, state = self.core(features, state, is_first)
        with torch.autocast(features.device.type, enabled=False):
            features = features.float()
            if noise is None:
                logits, value = self.policy(features), self.value(features)
            else:
                first, second = torch.split(noise, self._noise_sizes, dim=1)
                logits, value = self.policy(features, first), self.value(features, second)
        return PolicyValue(logits, value.squeeze(-1), state)


def _head(inputs: int, outputs: int, noise_sigma: float | None) -> nn.Linear:
    if noise_sigma is None:
        return nn.Linear(inputs, outputs)
    return NoisyLinear(inputs, outputs, sigma=noise_sigma)
