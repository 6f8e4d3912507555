"""Numbers brought to mean 0 and deviation 1 (NumPy)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

EPSILON = 1e-8
LEAST = 32
"""Numbers that a group needs for a mean and a deviation of its own."""


def normalized(x: Floats) -> Floats:
    """``x`` less its mean, divided by its standard deviation."""
    scaled: Floats = (x - x.mean()) / (x.std() + EPSILON)
    return scaled


def normalized_by_group(x: Floats, group: NDArray[np.integer[Any]], least: int = LEAST) -> Floats:
    """``x`` less the mean of its group, divided by the standard deviation of that.

    Advantages of tasks whose rewards differ in size count alike then, as do those of their values
    in PopArt (Hessel et al., "Multi-task Deep Reinforcement Learning with PopArt", AAAI 2019).

    Args:
        x: of any shape.
        group: of each number, of the same shape.
        least: smaller groups are one group together.
    """
    _, group, counts = np.unique(group, return_inverse=True, return_counts=True)
    group = np.where(counts < least, len(counts), np.arange(len(counts)))[group.reshape(x.shape)]
    count = np.maximum(np.bincount(group.ravel()), 1)
    mean = np.bincount(group.ravel(), x.ravel()) / count
    centred = x - mean[group]
    deviation = np.sqrt(np.bincount(group.ravel(), centred.ravel() ** 2) / count)
    scaled: Floats = (centred / (deviation[group] + EPSILON)).astype(x.dtype)
    return scaled
