"""How far predictions are from their targets."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def regression_error(prediction: Tensor, target: Tensor, *, huber: float | None) -> Tensor:
    """Errors ``(B,)`` of ``prediction`` against ``target``, each ``(B,)``.

    Args:
        huber: None gives half the squared error: only its minimum is the mean of the targets. A
            number gives the Huber loss (Huber 1964), which is linear where the error is larger than
            this, so that no single surprise dominates a batch (with 1 the "error clipping" of Mnih
            et al., "Human-level control through deep reinforcement learning", Nature 2015, page 7).
            With a knee far below the spread of the targets the minimum is near their median, which
            rare deaths do not move.
    """
    if huber is None:
        return 0.5 * (prediction - target).pow(2)
    return functional.huber_loss(prediction, target, reduction="none", delta=huber)
