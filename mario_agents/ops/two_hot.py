"""A number as a distribution over fixed bins, which a network learns as it learns classes.

Section "Critic learning" of Hafner et al., "Mastering diverse control tasks through world models"
(Nature 640, 2025): the size of the gradients does not depend on the size of the numbers.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mario_agents.ops.symlog import symexp


def symexp_bins(count: int, limit: float = 20.0) -> Tensor:
    """``(count,)`` float32: dense around 0, and exponentially wider apart up to ``symexp(limit)``.

    Args:
        count: odd, so that 0 is one of them, and there are as many below as above.
        limit: of the largest bin's symlog.

    Raises:
        ValueError: for an even ``count``.
    """
    if count % 2 == 0:
        raise ValueError(f"the number of bins must be odd, so that 0 is one of them, not {count}")
    below = symexp(torch.linspace(-limit, 0.0, count // 2 + 1))
    return torch.cat([below, -below[:-1].flip(0)])


def two_hot_mean(logits: Tensor, bins: Tensor) -> Tensor:
    """The number ``(...)`` that ``softmax(logits)`` ``(..., K)`` over ``bins`` ``(K,)`` expects.

    Bins are those of :func:`symexp_bins`. Each is weighed against the one of opposite sign first:
    so that a uniform distribution gives exactly 0, and not the rounding errors of huge numbers.
    """
    half = len(bins) // 2
    probs = logits.float().softmax(dim=-1)
    surplus = probs[..., half + 1 :] - probs[..., :half].flip(-1)
    with torch.autocast(logits.device.type, enabled=False):  # which would round both to bfloat16
        return torch.mv(surplus.flatten(0, -2), bins[half + 1 :]).view(surplus.shape[:-1])


def two_hot_loss(log_probs: Tensor, target: Tensor, bins: Tensor) -> Tensor:
    """Cross-entropies ``(...)`` of ``log_probs`` ``(..., K)`` against numbers ``target`` ``(...)``.

    A target puts its weight on the two bins beside it, in such shares that their mean is the
    target; one beyond the bins puts all of it on the last bin.
    """
    above = torch.searchsorted(bins, target.contiguous()).clamp(1, len(bins) - 1)
    low, high = bins[above - 1], bins[above]
    share = ((target - low) / (high - low)).clamp(0.0, 1.0)
    beside = torch.stack([above - 1, above], dim=-1)
    found = log_probs.gather(-1, beside)
    return -(found[..., 0] * (1.0 - share) + found[..., 1] * share)
