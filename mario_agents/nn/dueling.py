"""Action values from features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mario_agents.nn.init import orthogonal
from mario_agents.ops.bounding import softsign_bound


class DuelingHead(nn.Module):
    """State value and advantages in separate streams: ``Q = V + A - mean(A)``, then bounded.

    Equation 9 of Wang et al., "Dueling Network Architectures for Deep Reinforcement Learning"
    (ICML 2016). Input ``(B, features)``, output ``(B, actions)`` in ``(-q_scale, q_scale)``, always
    float32: under autocast only the hidden layers compute in less, because actions may differ in
    value by less than bfloat16 can tell.
    """

    def __init__(self, features: int, hidden: int, actions: int, q_scale: float) -> None:
        super().__init__()
        self.q_scale = q_scale
        self.value = self._stream(features, hidden, 1)
        self.advantage = self._stream(features, hidden, actions)

    @staticmethod
    def _stream(features: int, hidden: int, out: int) -> nn.Sequential:
        # The small last gain starts all values near 0, so that no action is favoured by chance.
        return nn.Sequential(
            orthogonal(nn.Linear(features, hidden)),
            nn.ReLU(),
            orthogonal(nn.Linear(hidden, out), gain=0.01),
        )

    def forward(self, features: Tensor) -> Tensor:
        value, advantage = (
            _precise(stream[-1], stream[:-1](features)) for stream in (self.value, self.advantage)
        )
        q = value + advantage - advantage.mean(dim=1, keepdim=True)
        return softsign_bound(q, self.q_scale)


def _precise(layer: nn.Module, hidden: Tensor) -> Tensor:
    with torch.autocast(hidden.device.type, enabled=False):
        result: Tensor = layer(hidden.float())
    return result
