"""Slowly following copies of numbers that change."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


@torch.no_grad()
def polyak_update(targets: Iterable[Tensor], sources: Iterable[Tensor], tau: float) -> None:
    """``target <- (1 - tau) * target + tau * source`` for each pair, in place.

    The slow target networks of Lillicrap et al., "Continuous control with deep reinforcement
    learning" (ICLR 2016); ``tau`` = 1 copies.
    """
    torch._foreach_lerp_(list(targets), list(sources), tau)
