"""Layers as world models have them: a matrix, RMSNorm and SiLU."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mario_agents.ops.rms_norm import rms_norm_silu

_TRUNCATED_STD = 0.87962566103423978
"""Standard deviation of a normal distribution cut off at two standard deviations."""


def truncated_normal(weight: Tensor, inputs: int, gain: float = 1.0) -> None:
    """Fill ``weight`` so that outputs have the variance of the ``inputs`` inputs, times gain²."""
    if gain == 0.0:
        nn.init.zeros_(weight)
        return
    std = gain / math.sqrt(inputs) / _TRUNCATED_STD
    nn.init.trunc_normal_(weight, std=std, a=-2.0 * std, b=2.0 * std)


def linear(inputs: int, outputs: int, gain: float = 1.0) -> nn.Linear:
    """A linear layer with weights of :func:`truncated_normal` and no bias at first."""
    layer = nn.Linear(inputs, outputs)
    truncated_normal(layer.weight, inputs, gain)
    nn.init.zeros_(layer.bias)
    return layer


class NormSiLU(nn.Module):
    """:func:`~mario_agents.ops.rms_norm.rms_norm_silu` with a scale of its own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return rms_norm_silu(x, self.scale)


def dense(inputs: int, units: int) -> nn.Sequential:
    """A linear layer, RMSNorm, SiLU."""
    return nn.Sequential(linear(inputs, units), NormSiLU(units))


class MLP(nn.Sequential):
    """``layers`` times :func:`dense`, and, with ``outputs``, a linear layer behind them.

    Args:
        inputs: width of the input.
        units: of the hidden layers.
        layers: how many of them.
        outputs: None ends with the last hidden layer.
        gain: of the last layer's weights; 0 begins with outputs that are all 0.
    """

    def __init__(
        self, inputs: int, units: int, layers: int, outputs: int | None = None, gain: float = 1.0
    ) -> None:
        parts: list[nn.Module] = []
        for _ in range(layers):
            parts.append(dense(inputs, units))
            inputs = units
        if outputs is not None:
            parts.append(linear(inputs, outputs, gain))
        super().__init__(*parts)
        self.outputs = inputs if outputs is None else outputs
        """Width of the output."""
