"""Drawing items in proportion to their priorities, in O(log n)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class SumTree:
    """A complete binary tree in one array whose inner nodes hold the sums of their children.

    Appendix B.2.1 of Schaul et al., "Prioritized Experience Replay" (ICLR 2016). Node ``i`` has the
    children ``2i`` and ``2i + 1``, the root is node 1, leaf ``j`` is node ``leaves + j``. All
    methods work on whole batches, level by level.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._leaves = 1 << max(size - 1, 0).bit_length()
        self._nodes: NDArray[np.float64] = np.zeros(2 * self._leaves, dtype=np.float64)

    @property
    def total(self) -> float:
        """The sum of all priorities."""
        return float(self._nodes[1])

    @property
    def nbytes(self) -> int:
        return self._nodes.nbytes

    def values(self) -> NDArray[np.float64]:
        """A copy of all ``(size,)`` priorities."""
        return np.array(self._nodes[self._leaves : self._leaves + self.size])

    def __getitem__(self, index: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.asarray(self._nodes[self._leaves + index])

    def __setitem__(self, index: NDArray[np.int64], value: NDArray[np.float64] | float) -> None:
        """Set priorities ``>= 0``; of repeated indices the last one counts, as in NumPy."""
        node = self._leaves + np.asarray(index, dtype=np.int64)
        self._nodes[node] = value
        # Sums are made anew from both children, never adjusted by a difference: no rounding error
        # builds up however long the run is, and repeated indices do no harm.
        while node.size and node[0] > 1:
            node = node >> 1
            self._nodes[node] = self._nodes[2 * node] + self._nodes[2 * node + 1]

    def find(self, prefix: NDArray[np.float64]) -> NDArray[np.int64]:
        """For each ``prefix`` in ``[0, total)`` the leaf in whose share of the total it falls.

        That is the smallest ``j`` with ``value[0] + ... + value[j] > prefix`` up to rounding; a
        leaf with priority 0 is never found.
        """
        prefix = np.array(prefix, dtype=np.float64)
        node = np.ones(prefix.shape, dtype=np.int64)
        for _ in range(self._leaves.bit_length() - 1):
            left = self._nodes[2 * node]
            # Rounding may leave a prefix just past the sum of a subtree: never walk into an
            # empty half because of it.
            right = (prefix >= left) & (self._nodes[2 * node + 1] > 0.0)
            prefix = np.where(right, prefix - left, prefix)
            node = 2 * node + right
        return node - self._leaves
