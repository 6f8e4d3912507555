"""Exploration by noise in the weights, which is drawn once for an unroll and recorded."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class NoisyLinear(nn.Linear):
    """A linear layer whose weights are disturbed, as much as it learns to want.

    Factorised noise of Fortunato et al., "Noisy Networks for Exploration" (ICLR 2018, section 3):
    weight ``(i, j)`` is disturbed by ``sigma[i, j] * f(e_in[j]) * f(e_out[i])`` and bias ``i`` by
    ``sigma_bias[i] * f(e_out[i])``, with ``f(e) = sign(e) * sqrt(|e|)`` of normal numbers. Who
    plays draws these and keeps them; who learns uses the same once more: otherwise the
    probabilities of actions would be those of another policy. Each game may have its own noise.

    Args:
        inputs, outputs: widths.
        sigma: initial size of the noise, to be divided by the square root of ``inputs``.

    Attributes:
        noise_size: numbers of noise for one game.
    """

    def __init__(self, inputs: int, outputs: int, *, sigma: float = 0.5) -> None:
        super().__init__(inputs, outputs)
        self.noise_size = inputs + outputs
        size = sigma / math.sqrt(inputs)
        self.sigma = nn.Parameter(torch.full((outputs, inputs), size))
        self.sigma_bias = nn.Parameter(torch.full((outputs,), size))

    def forward(self, input: Tensor, noise: Tensor | None = None) -> Tensor:
        """Compute the outputs.

        Args:
            input: ``(..., B, inputs)``.
            noise: ``(B, noise_size)``, of :func:`draw_noise`; None is no noise.

        Returns:
            ``(..., B, outputs)``.
        """
        mean: Tensor = super().forward(input)
        if noise is None:
            return mean
        into, out_of = torch.split(noise, [self.in_features, self.out_features], dim=-1)
        return mean + out_of * functional.linear(input * into, self.sigma, self.sigma_bias)


def draw_noise(games: int, size: int, rng: torch.Generator) -> Tensor:
    """``f(e)`` of normal numbers ``e``, ``(games, size)``."""
    normal = torch.randn(games, size, generator=rng)
    return normal.sign() * normal.abs().sqrt()
