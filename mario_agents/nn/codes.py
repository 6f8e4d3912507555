"""For observations that are codes: grids of tiles, bytes of RAM."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mario_agents.nn.encoders import Encoder
from mario_agents.nn.init import orthogonal


class CodeEncoder(Encoder):
    """Each byte is looked up in a learned table, then a layer of ``hidden`` units sees all.

    A code is a name and no amount: an enemy is not twice a block. The table gives each one a few
    numbers (Bengio et al., "A Neural Probabilistic Language Model", 2003); code 0, which means
    nothing there, begins with zeros.

    Args:
        obs_shape: any.
        hidden: units; also the width of the output.
        width: numbers for each code.
    """

    CODES = 256

    def __init__(self, obs_shape: tuple[int, ...], hidden: int, width: int = 4) -> None:
        super().__init__()
        self.table = nn.Embedding(self.CODES, width)
        with torch.no_grad():
            self.table.weight[0] = 0.0
        self.layers = nn.Sequential(
            nn.Flatten(), orthogonal(nn.Linear(math.prod(obs_shape) * width, hidden)), nn.ReLU()
        )
        self.features = hidden

    def forward(self, obs: Tensor) -> Tensor:
        features: Tensor = self.layers(self.table(obs.int()))
        return features
