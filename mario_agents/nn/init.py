"""Initial weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


def orthogonal(layer: nn.Conv2d | nn.Linear, gain: float = math.sqrt(2.0)) -> nn.Module:
    """Orthogonal weights and zero bias (Saxe et al., "Exact solutions to the nonlinear dynamics of
    learning in deep linear neural networks", ICLR 2014); the default gain suits a ReLU behind it.

    Returns:
        The same layer, to be used in place of its constructor's result.
    """
    nn.init.orthogonal_(layer.weight, gain)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """A context in which initial weights, on the CPU, depend on ``seed`` alone; PyTorch's random
    numbers go on after it as if nothing had been drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
