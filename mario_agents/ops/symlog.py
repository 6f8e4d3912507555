"""Numbers of any size, squeezed so that a network can say them."""

from __future__ import annotations

import torch
from torch import Tensor


def symlog(x: Tensor) -> Tensor:
    """``sign(x) * log(1 + |x|)``: like x near 0, like its logarithm far away, for both signs.

    Equation 8 of Hafner et al., "Mastering diverse control tasks through world models" (Nature 640,
    2025).
    """
    return torch.sign(x) * torch.log1p(x.abs())


def symexp(x: Tensor) -> Tensor:
    """``sign(x) * (exp(|x|) - 1)``, which undoes :func:`symlog`."""
    return torch.sign(x) * torch.expm1(x.abs())
