"""Which steps of a storage are drawn: all alike, or the surprising ones more often."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mario_agents.ops.prioritized import importance_weights, scaled_priority
from mario_agents.replay.storage import Storage, ranges
from mario_agents.replay.sum_tree import SumTrees
from mario_envkit.errors import ConfigError

Selection = tuple[NDArray[np.int64], NDArray[np.float32]]
"""What was drawn, each ``(B,)``: the steps, as :class:`~mario_agents.replay.storage.Storage` calls
them, and how much each counts in the loss."""


class Selector(Protocol):
    """Draws steps over all shards of a storage."""

    rng: np.random.Generator
    """Draws; its state is the caller's to save."""

    def __len__(self) -> int:
        """Number of steps that can be drawn."""

    def select(self, size: int, at: int) -> Selection:
        """Draw ``size`` complete steps, with replacement.

        Args:
            size: number of steps.
            at: agent steps of the whole run so far, which schedules depend on.

        Raises:
            ValueError: if there is none.
        """

    def feedback(self, index: NDArray[np.int64], error: NDArray[np.floating]) -> None:
        """How surprising drawn steps ``(B,)`` were. By default nothing: all are alike."""
        return

    def gauges(self) -> dict[str, float]:
        """Metrics of drawing (``beta``...) as they were at the last draw."""
        return {}

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

    def __len__(self) -> int:
        """All steps that there are."""
        return len(self.storage)

    def select(self, size: int, at: int) -> Selection:
        """Draw steps with equal chances; all weights are 1."""
        index = draw_starts(self.storage, self.rng, size)
        return index, np.ones(size, dtype=np.float32)


class InitialErrors(Protocol):
    """How surprising steps are that no learner has seen yet.

    Attributes:
        delay: as many steps must have come after one before this is known of it.
    """

    delay: int

    def __call__(self, step: NDArray[np.int64], game: NDArray[np.int64]) -> NDArray[np.floating]:
        """The errors ``(K,)`` of the steps ``step`` of the games ``game``."""


class PrioritizedSelector(Selector):
    """Proportional prioritization: Schaul et al., "Prioritized Experience Replay" (ICLR 2016).

    ``P(i) = p_i**alpha / sum_k p_k**alpha`` with ``p = |TD error| + epsilon``; batches are
    stratified (one draw from each of ``B`` equal shares of the total). New steps have the largest
    priority seen so far, so that each is likely to be drawn soon after it came, or the one that
    ``initial`` gives them.

    Each shard has a sum-tree of its own. Adding to the storage does not touch it: the priorities of
    all steps that have come since, and of those that have left, are set together before a draw.

    Args:
        storage: of which.
        rng: draws.
        alpha: 0 uniform, 1 fully proportional.
        beta: how far the bias is corrected, by the run's agent steps; rises to 1.
        initial: gives new steps their priority; until it can, they are not drawn.

    Raises:
        ConfigError: if steps leave the storage before ``initial`` can say anything of them.
    """

    def __init__(
        self,
        storage: Storage,
        rng: np.random.Generator,
        *,
        alpha: float,
        beta: Callable[[int], float],
        initial: InitialErrors | None = None,
    ) -> None:
        self.storage, self.rng = storage, rng
        self.alpha, self.beta, self.initial = alpha, beta, initial
        self._delay = 0 if initial is None else initial.delay
        if storage.rows <= self._delay:
            raise ConfigError(
                f"A buffer_size of {storage.rows * storage.games} has {storage.rows} steps of each "
                f"of {storage.games} environments; their priorities need more than {self._delay}."
            )
        self.trees = SumTrees(storage.num_envs * storage.rows, len(storage.shards))
        self.max_priority = np.ones(1)
        """The largest ``p**alpha`` ever given, ``(1,)``."""
        self._first, self._end = np.zeros((2, storage.games), dtype=np.int64)
        """By game, the first step that has a priority, and the first one after it that has none."""
        self._last_beta = beta(0)

    def __len__(self) -> int:
        """All steps whose priority is known."""
        first = self.storage.first
        return int(np.maximum(self.storage.ends() - self._delay - first, 0).sum())

    def _leaf(self, step: NDArray[np.int64], game: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.asarray(game * self.storage.rows + step % self.storage.rows)

    def _follow(self) -> None:
        """Give priorities to the steps that have come, and take them from those that have left."""
        first = self.storage.first.copy()
        begin = np.maximum(self._end, first)
        end = np.maximum(self.storage.ends() - self._delay, begin)
        left, left_step = ranges(self._first, np.minimum(first, self._end))
        game, step = ranges(begin, end)
        self._first, self._end = first, end
        if not len(left) and not len(game):
            return
        priority = np.full(len(step), self.max_priority[0])
        if self.initial is not None and len(step):
            priority = scaled_priority(self.initial(step, game), self.alpha)
            self.max_priority[0] = max(self.max_priority[0], priority.max())
        # In a full ring a new step has the leaf of one that left for it: the last write counts.
        leaf = np.concatenate([self._leaf(left_step, left), self._leaf(step, game)])
        self.trees[leaf] = np.concatenate([np.zeros(len(left)), priority])

    def select(self, size: int, at: int) -> Selection:
        """Draw steps by priority; weights undo the bias, and are at most 1."""
        self._follow()
        storage, total, count = self.storage, self.trees.total, len(self)
        if count == 0:
            raise ValueError("Nothing to sample: there are no steps yet; add some first.")
        shares = (np.arange(size) + self.rng.random(size)) / size
        leaf = self.trees.find(shares * total)
        game, row = np.divmod(leaf, storage.rows)
        # The step with this row among the last ``rows`` steps.
        newest = storage.ends()[game] - 1
        step = newest - (newest - row) % storage.rows
        self._last_beta = self.beta(at)
        weight = importance_weights(self.trees[leaf] / total, count, self._last_beta)
        return storage.index(step, game), weight

    def feedback(self, index: NDArray[np.int64], error: NDArray[np.floating]) -> None:
        """Set the priorities of steps ``(B,)``; those that have left are skipped."""
        scaled = scaled_priority(error, self.alpha)
        step, game = self.storage.locate(index)
        there = step >= self.storage.first[game]
        self.trees[self._leaf(step[there], game[there])] = scaled[there]
        self.max_priority[0] = max(self.max_priority[0], scaled.max(initial=0.0))

    def gauges(self) -> dict[str, float]:
        """``beta``."""
        return {"beta": self._last_beta}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The priorities, the largest of all, and by game the first step that has none yet."""
        self._follow()
        return {
            "priority": self.trees.values(),
            "max_priority": self.max_priority,
            "priority_end": self._end,
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take over :meth:`arrays`."""
        priority = np.asarray(arrays["priority"])
        self.trees[np.arange(len(priority))] = priority
        self.max_priority[:] = arrays["max_priority"]
        self._first = self.storage.first.copy()
        self._end = np.array(arrays["priority_end"])
