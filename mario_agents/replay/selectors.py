"""Which steps of a storage are drawn: all alike, or the surprising ones more often."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mario_agents.ops.prioritized import importance_weights, scaled_priority
from mario_agents.replay.shard import Added
from mario_agents.replay.storage import Storage, ranges
from mario_agents.replay.sum_tree import SumTree

Selection = tuple[NDArray[np.int64], NDArray[np.float32]]
"""What was drawn, each ``(B,)``: the steps, as :class:`~mario_agents.replay.storage.Storage` calls
them, and how much each counts in the loss."""


class Selector(Protocol):
    """Draws steps over all shards of a storage."""

    rng: np.random.Generator
    """Draws; its state is the caller's to save."""

    def added(self, added: Added) -> None:
        """A step has come, and old ones may have left. By default nothing."""
        return

    def select(self, size: int, at: int) -> Selection:
        """Draw ``size`` complete steps, with replacement.

        Args:
            size: number of steps.
            at: agent steps of the whole run so far, which schedules depend on.

        Raises:
            ValueError: if the storage is empty.
        """

    def feedback(self, index: NDArray[np.int64], error: NDArray[np.floating]) -> None:
        """How surprising drawn steps ``(B,)`` were. By default nothing: all are alike."""
        return

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What a checkpoint needs beside the random state, by name."""
        return {}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take over :meth:`arrays`, after the storage has been restored.

        Raises:
            KeyError: if something is missing.
        """
        return


def draw_starts(
    storage: Storage,
    rng: np.random.Generator,
    size: int,
    *,
    length: int = 1,
    first: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """Draw steps that ``length - 1`` others have come after, with equal chances and replacement.

    Args:
        storage: of which.
        rng: draws.
        size: number of steps.
        length: of the window that begins with each.
        first: ``(games,)``, by game the oldest step that may be drawn; None is what is there.

    Returns:
        ``(size,)`` int64, as :class:`~mario_agents.replay.storage.Storage` calls them.

    Raises:
        ValueError: if there is none.
    """
    if first is None:
        first = storage.first
    counts = np.maximum(storage.ends() - (first + (length - 1)), 0)
    ends: NDArray[np.int64] = np.cumsum(counts)
    if ends[-1] == 0:
        raise ValueError(f"Nothing to sample: no game has {length} steps yet; add some first.")
    drawn = rng.integers(ends[-1], size=size)
    game = np.searchsorted(ends, drawn, side="right")
    step: NDArray[np.int64] = first[game] + drawn - (ends[game] - counts[game])
    return storage.index(step, game)


class UniformSelector(Selector):
    """All steps have the same chance.

    Args:
        storage: of which.
        rng: draws.
    """

    def __init__(self, storage: Storage, rng: np.random.Generator) -> None:
        self.storage, self.rng = storage, rng

    def select(self, size: int, at: int) -> Selection:
        """Draw steps with equal chances; all weights are 1."""
        index = draw_starts(self.storage, self.rng, size)
        return index, np.ones(size, dtype=np.float32)


class PrioritizedSelector(Selector):
    """Proportional prioritization: Schaul et al., "Prioritized Experience Replay" (ICLR 2016).

    ``P(i) = p_i**alpha / sum_k p_k**alpha`` with ``p = |TD error| + epsilon``; batches are
    stratified (one draw from each of ``B`` equal shares of the total); new steps get the largest
    priority seen so far, so that each is likely to be drawn soon after it came. Who knows better
    calls :meth:`feedback` after adding.

    Args:
        storage: of which.
        rng: draws.
        alpha: 0 uniform, 1 fully proportional.
        beta: how far the bias is corrected, by the run's agent steps; rises to 1.
    """

    def __init__(
        self,
        storage: Storage,
        rng: np.random.Generator,
        *,
        alpha: float,
        beta: Callable[[int], float],
    ) -> None:
        self.storage, self.rng = storage, rng
        self.alpha, self.beta = alpha, beta
        self.tree = SumTree(storage.games * storage.rows)
        self.max_priority = np.ones(1)
        """The largest ``p**alpha`` ever given, ``(1,)``."""

    def _leaf(self, step: NDArray[np.int64] | int, game: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.asarray(game * self.storage.rows + step % self.storage.rows)

    def added(self, added: Added) -> None:
        """Give the new steps the largest priority, and those that have left none."""
        rows = self.storage.rows
        games = np.arange(added.games.start, added.games.stop)
        # In a full ring the new step has the leaf of the one that left for it.
        before = np.maximum(added.before, added.step - rows + 1)
        if (added.first > before).any():
            place, step = ranges(before, added.first)
            self.tree[self._leaf(step, games[place])] = 0.0
        self.tree[self._leaf(added.step, games)] = self.max_priority[0]

    def select(self, size: int, at: int) -> Selection:
        """Draw steps by priority; weights undo the bias, and are at most 1."""
        storage, total = self.storage, self.tree.total
        count = len(storage)
        if count == 0:
            raise ValueError("Nothing to sample: there are no steps yet; add some first.")
        shares = (np.arange(size) + self.rng.random(size)) / size
        leaf = self.tree.find(shares * total)
        game, row = np.divmod(leaf, storage.rows)
        # The step with this row among the last ``rows`` steps.
        newest = storage.ends()[game] - 1
        step = newest - (newest - row) % storage.rows
        weight = importance_weights(self.tree[leaf] / total, count, self.beta(at))
        return storage.index(step, game), weight

    def feedback(self, index: NDArray[np.int64], error: NDArray[np.floating]) -> None:
        """Set the priorities of steps ``(B,)``; those that have left are skipped."""
        scaled = scaled_priority(error, self.alpha)
        step, game = self.storage.locate(index)
        there = step >= self.storage.first[game]
        self.tree[self._leaf(step[there], game[there])] = scaled[there]
        self.max_priority[0] = max(self.max_priority[0], scaled.max(initial=0.0))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The priorities, and the largest of all."""
        return {"priority": self.tree.values(), "max_priority": self.max_priority}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take over :meth:`arrays`."""
        self.tree[np.arange(self.tree.size)] = np.asarray(arrays["priority"])
        self.max_priority[:] = arrays["max_priority"]
