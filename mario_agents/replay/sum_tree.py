"""Drawing items in proportion to their priorities, in O(log n)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class SumTrees:
    """Complete binary trees of one size, one for each shard, whose inner nodes hold the sums of
    their children.

    Appendix B.2.1 of Schaul et al., "Prioritized Experience Replay" (ICLR 2016). Setting priorities
    changes nothing but the tree of their shard: no node is above two trees, and a draw chooses a
    tree by the totals first. The nodes of one level of all trees are one array, in which the
    children of node ``i`` are nodes ``2i`` and ``2i + 1`` of the next one: all methods work on
    whole batches over all trees, level by level.

    Args:
        size: leaves of each tree; leaf ``j`` of tree ``s`` has the index ``s * size + j``.
        trees: how many.
    """

    def __init__(self, size: int, trees: int = 1) -> None:
        self.size, self.trees = size, trees
        depth = max(size - 1, 0).bit_length()
        self._leaves = 1 << depth
        self._levels = [np.zeros(trees << level, dtype=np.float64) for level in range(depth + 1)]

    @staticmethod
    def size_in_bytes(size: int, trees: int = 1) -> int:
        """Bytes of such trees when every leaf has been set."""
        return trees * (2 << max(size - 1, 0).bit_length()) * 8

    @property
    def totals(self) -> NDArray[np.float64]:
        """``(trees,)``, the sums of the priorities."""
        return np.array(self._levels[0])

    @property
    def total(self) -> float:
        """The sum of all priorities."""
        return float(self._levels[0].sum())

    @property
    def nbytes(self) -> int:
        return sum(level.nbytes for level in self._levels)

    def values(self) -> NDArray[np.float64]:
        """A copy of all ``(trees * size,)`` priorities."""
        return self._levels[-1].reshape(self.trees, -1)[:, : self.size].flatten()

    def __getitem__(self, index: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.asarray(self._levels[-1][self._leaf(index)])

    def __setitem__(self, index: NDArray[np.int64], value: NDArray[np.float64] | float) -> None:
        """Set priorities ``>= 0``; of repeated indices the last one counts, as in NumPy."""
        node = self._leaf(np.asarray(index, dtype=np.int64))
        below = self._levels[-1]
        below[node] = value
        # Sums are made anew from both children, never adjusted by a difference: no rounding error
        # builds up however long the run is, and repeated indices do no harm.
        for level in self._levels[-2::-1]:
            node = node >> 1
            level[node] = below[2 * node] + below[2 * node + 1]
            below = level

    def find(self, prefix: NDArray[np.float64]) -> NDArray[np.int64]:
        """For each ``prefix`` in ``[0, total)`` the index in whose share of the total it falls.

        That is the smallest ``j`` with ``value[0] + ... + value[j] > prefix`` up to rounding; a
        leaf with priority 0 is never found.
        """
        ends: NDArray[np.float64] = np.cumsum(self._levels[0])
        # Rounding may leave a prefix just past the end of the last tree, or of a subtree: never
        # walk into an empty one because of it.
        last = self._levels[0].nonzero()[0].max(initial=0)
        node = np.minimum(np.searchsorted(ends, prefix, side="right"), last)
        prefix = prefix - (ends[node] - self._levels[0][node])
        for level in self._levels[1:]:
            node = 2 * node
            left = level[node]
            right = (prefix >= left) & (level[node + 1] > 0.0)
            prefix = np.where(right, prefix - left, prefix)
            node += right
        tree, leaf = np.divmod(node, self._leaves)
        return np.asarray(tree * self.size + leaf)

    def _leaf(self, index: NDArray[np.int64]) -> NDArray[np.int64]:
        """The nodes of the last level that are the leaves with these indices."""
        if self.trees == 1:
            return index
        tree, leaf = np.divmod(index, self.size)
        return np.asarray(tree * self._leaves + leaf)
