"""The range that most returns lie in, as it moves while the agent gets better."""

from __future__ import annotations

import torch
from torch import Tensor


def moved_range(
    range_: Tensor, values: Tensor, rate: float, *, low: float = 0.05, high: float = 0.95
) -> Tensor:
    """``(2,)``: two running percentiles, moved a share ``rate`` towards those of ``values``.

    Args:
        range_: ``(2,)``, the percentiles so far; they begin as zeros.
        values: of any shape.
        rate: between 0 and 1.
        low, high: which percentiles, as shares of the values.
    """
    # Made there, and not copied there: a device would have to be waited for.
    levels = torch.linspace(low, high, 2, dtype=range_.dtype, device=range_.device)
    return range_.lerp(torch.quantile(values.detach().flatten().to(range_.dtype), levels), rate)


def range_scale(range_: Tensor, floor: float = 1.0) -> Tensor:
    """What returns are divided by: the width of the range, at least ``floor``.

    Large returns are scaled down, small ones are not scaled up, which would amplify noise while
    there is no reward (section "Actor learning" of Hafner et al., Nature 640, 2025).
    """
    return (range_[1] - range_[0]).clamp(min=floor)
