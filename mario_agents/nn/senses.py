"""How a world model sees: from observations to numbers, to tokens, and from its state back."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class Senses(nn.Module):
    """An encoder, and a decoder that says what the encoder was given.

    Args:
        inputs: uint8 observations ``(N, ...)`` to numbers ``(N, ...)`` of about -1 to 1.
        encoder: these numbers to ``(N, tokens)``.
        decoder: ``(N, features)`` to the numbers.
        tokens: width of what the encoder says.
    """

    def __init__(
        self, inputs: nn.Module, encoder: nn.Module, decoder: nn.Module, tokens: int
    ) -> None:
        super().__init__()
        self.inputs, self.encoder, self.decoder, self.tokens = inputs, encoder, decoder, tokens


class ByteInputs(nn.Module):
    """All bytes of an observation, ``(N, width)``, as -1..1."""

    def __init__(self, obs_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.width = math.prod(obs_shape)

    def forward(self, obs: Tensor) -> Tensor:
        return obs.flatten(1).to(torch.float32) / 127.5 - 1.0
