"""Redundancy reduction: two views of one thing agree, number by number, and repeat nothing."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

_EPS = 1e-8
"""Added to variances: a number that never changes correlates with nothing."""


class RedundancyLoss(NamedTuple):
    """Scalars, see :func:`redundancy_loss`.

    Attributes:
        loss: to be minimised.
        correlation: mean correlation of the two views, -1 to 1; without a gradient.
    """

    loss: Tensor
    correlation: Tensor


def cross_correlation(x: Tensor, y: Tensor) -> Tensor:
    """``(D, E)`` float32: the correlation, over ``N`` rows, of each number of ``x`` ``(N, D)`` with
    each of ``y`` ``(N, E)``; 0 where one of them does not change."""
    with torch.autocast(x.device.type, enabled=False):
        return _standardised(x).t() @ _standardised(y) / len(x)


def redundancy_loss(x: Tensor, target: Tensor, off_diagonal: float) -> RedundancyLoss:
    """How far the correlations of ``x`` and ``target`` are from the identity matrix, squared.

    Zbontar, Jing, Misra, LeCun and Deny, "Barlow Twins: Self-Supervised Learning via Redundancy
    Reduction" (ICML 2021), with a fixed second view, as Morihira, Nahar, Bharadwaj, Kato, Hayashi
    and Harada have it in "R2-Dreamer: Redundancy-Reduced World Models without Decoders or
    Augmentation" (ICLR 2026). No view can win by saying nothing: what does not change correlates
    with nothing.

    Args:
        x: ``(N, D)``.
        target: ``(N, D)``; no gradient flows into it.
        off_diagonal: weight of the ``D * (D - 1)`` correlations that should be 0, beside the ``D``
            that should be 1.
    """
    found = cross_correlation(x, target.detach())
    agreeing = found.diagonal()
    repeated = found - torch.diag(agreeing)
    loss = (1.0 - agreeing).square().sum() + off_diagonal * repeated.square().sum()
    return RedundancyLoss(loss, agreeing.detach().mean())


def _standardised(x: Tensor) -> Tensor:
    """Mean 0 and variance 1 over the rows."""
    x = x.float()
    centred = x - x.mean(dim=0)
    return centred * torch.rsqrt(centred.square().mean(dim=0) + _EPS)
