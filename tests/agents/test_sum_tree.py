"""The sum-tree against cumulative sums."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mario_agents.replay.sum_tree import SumTrees

# Multiples of 1/8: all sums are exact, so that the boundaries between leaves can be demanded.
eighths = st.integers(0, 80).map(lambda value: value / 8)


@given(
    size=st.integers(1, 33),
    trees=st.integers(1, 5),
    writes=st.lists(st.tuples(st.lists(st.tuples(st.integers(0, 10**6), eighths), max_size=9))),
    fractions=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=9),
)
def test_find_is_inverse_cumulative_sum(size, trees, writes, fractions):
    tree, reference = SumTrees(size, trees), np.zeros(size * trees)
    for (batch,) in writes:
        index = np.array([i % len(reference) for i, _ in batch], dtype=np.int64)
        tree[index] = np.array([value for _, value in batch], dtype=np.float64)
        for i, (_, value) in zip(index, batch, strict=True):
            reference[i] = value  # the last write of a repeated index counts
    assert np.array_equal(tree.values(), reference)
    assert tree.total == reference.sum()
    assert tree.totals.tolist() == reference.reshape(trees, size).sum(axis=1).tolist()
    if tree.total > 0:
        prefix = np.array(fractions) * tree.total
        expected = np.searchsorted(np.cumsum(reference), prefix, side="right")
        assert np.array_equal(tree.find(prefix), expected)


@given(
    values=st.lists(st.just(0.0) | st.floats(1e-12, 1e12), min_size=1, max_size=70),
    trees=st.integers(1, 4),
    fractions=st.lists(st.floats(0, 1), min_size=1, max_size=20),
)
def test_never_finds_an_empty_leaf_whatever_the_rounding(values, trees, fractions):
    tree = SumTrees(-(-len(values) // trees), trees)
    tree[np.arange(len(values))] = np.array(values)
    if tree.total > 0:
        found = tree.find(np.array(fractions) * tree.total)
        assert (tree[found] > 0).all()
    assert tree.total == pytest.approx(np.sum(values))
