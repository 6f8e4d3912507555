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


def clip_adaptively(share: float, *, floor: float = 1e-3) -> Clip:
    """Scale each parameter's gradient down to a ``share`` of the parameter's own norm.

    Adaptive gradient clipping (Brock et al., "High-Performance Large-Scale Image Recognition
    Without Normalization", ICML 2021) with one norm for each tensor, as in the code of Hafner et
    al. (Nature 640, 2025): unlike a norm for all, it needs no adjustment to the size of the network
    or the loss.

    Args:
        share: of the norm of the weights.
        floor: the least norm that weights are taken to have, so that zeros can begin to move.
    """

    def clip(parameters: Sequence[nn.Parameter]) -> Tensor:
        pairs = [(p, p.grad) for p in parameters if p.grad is not None]
        weights = torch._foreach_norm([weight.detach() for weight, _ in pairs])
        gradients = [gradient for _, gradient in pairs]
        norms = torch._foreach_norm(gradients)
        size: Tensor = torch.stack(list(norms))
        limit = torch.stack(list(weights)).clamp_(min=floor)
        factors = (limit * share / size.clamp(min=torch.finfo(size.dtype).tiny)).clamp_(max=1.0)
        # As numbers: a GPU takes all at once, and it is waited for here anyway, for the norm.
        torch._foreach_mul_(gradients, factors.cpu().tolist())
        whole: Tensor = torch.linalg.vector_norm(size)
        return whole

    return clip
