"""Limits for gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

Clip = Callable[[Sequence[nn.Parameter]], Tensor]
"""Limits the gradients of parameters in place; returns their norm, a scalar, as it was before.
Parameters without a gradient are passed over."""


def clip_by_global_norm(max_norm: float) -> Clip:
    """Scale the gradients of all parameters together down to a norm of ``max_norm``; ``math.inf``
    only measures it (Pascanu et al., "On the difficulty of training recurrent neural networks",
    ICML 2013)."""

    def clip(parameters: Sequence[nn.Parameter]) -> Tensor:
        return torch.nn.utils.clip_grad_norm_(parameters, max_norm)

    return clip
