"""The arithmetic of Schaul et al., "Prioritized Experience Replay" (ICLR 2016)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PRIORITY_EPSILON = 1e-6
"""Added to every error, so that a transition without error can still be drawn again."""


def scaled_priority(error: NDArray[np.floating], alpha: float) -> NDArray[np.float64]:
    """``p**alpha`` with the proportional priority ``p = |error| + epsilon`` (section 3.3)."""
    magnitude = np.abs(np.asarray(error, dtype=np.float64))
    return np.asarray((magnitude + PRIORITY_EPSILON) ** alpha)


def importance_weights(
    probability: NDArray[np.float64], size: int, beta: float
) -> NDArray[np.float32]:
    """What undoes the bias of drawing some transitions more often than others (section 3.4).

    ``w = (size * P)**-beta``, divided by the largest weight of the batch, so that weights only ever
    scale updates down.

    Args:
        probability: ``(B,)``, the chance with which each transition was drawn, greater than 0.
        size: number of transitions in the buffer.
        beta: 0 no correction, 1 full correction.
    """
    weight = (size * probability) ** -beta
    return np.asarray(weight / weight.max(), dtype=np.float32)
