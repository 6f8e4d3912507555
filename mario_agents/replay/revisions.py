"""Newer values of steps that have been saved already, such as recurrent states that follow the
weights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mario_agents.replay.storage import Storage, ranges

MOST_COPIES = 2
"""Values in all revisions, as a multiple of those in the storage, before old ones are rewritten."""


class Revisions:
    """Which saved steps have changed since, and which revision has the newest values of each.

    A revision is a piece, never changed, with the values that changed since the one before: however
    often one changed, it is written once for each checkpoint, and what did not change is not
    written again. Revisions are numbered 1, 2, 3...

    Args:
        storage: whose columns of the policy may be written to.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._changed = np.zeros((storage.games, storage.rows), dtype=np.bool_)
        self._newest = np.zeros((storage.games, storage.rows), dtype=np.int32)
        """By row, the revision with its newest values; 0 where there is none."""
        self._sizes: dict[int, int] = {}
        """By revision that is needed, the number of steps in it."""
        self.last = 0
        """The newest revision."""
        self.row_bytes = sum(storage.columns[name][0, 0].nbytes for name in storage.extras) + 8
        """Bytes of a step in a revision."""

    def changed(self, index: NDArray[np.int64]) -> None:
        """Values of these steps were replaced; those that have left, and -1, are passed over."""
        storage = self._storage
        step, game = storage.locate(index[(index >= 0) & storage.present(index)])
        self._changed[game, step % storage.rows] = True

    def saved(self, begin: NDArray[np.int64], end: NDArray[np.int64]) -> None:
        """By game, the steps that another piece now has as they are."""
        game, step = ranges(begin, end)
        place = game, step % self._storage.rows
        self._changed[place], self._newest[place] = False, 0

    def pending(self, saved: NDArray[np.int64]) -> NDArray[np.int64]:
        """The steps ``(K,)`` that have changed since they were saved.

        Args:
            saved: by game, the first step that no piece has.
        """
        game, step = self._there(saved)
        changed = self._changed[game, step % self._storage.rows]
        return self._storage.index(step[changed], game[changed])

    def values(self, index: NDArray[np.int64]) -> dict[str, Tensor]:
        """``revised``, the steps ``(K,)``, and copies of their values, by name."""
        storage = self._storage
        step, game = storage.locate(index)
        place = game, step % storage.rows
        found = {f"columns.{name}": storage.columns[name][place] for name in storage.extras}
        return {n: torch.from_numpy(array) for n, array in {**found, "revised": index}.items()}

    def take_over(self, tensors: Mapping[str, Tensor]) -> NDArray[np.int64]:
        """Write what :meth:`values` gave into the storage; returns the steps."""
        storage, index = self._storage, tensors["revised"].numpy()
        step, game = storage.locate(index)
        for name in storage.extras:
            values = tensors[f"columns.{name}"].numpy()
            storage.columns[name][game, step % storage.rows] = values
        return index

    def add(self, index: NDArray[np.int64]) -> int:
        """A revision has been written, or read, with these steps; returns its number."""
        step, game = self._storage.locate(index)
        place = game, step % self._storage.rows
        self.last += 1
        self._changed[place], self._newest[place] = False, self.last
        self._sizes[self.last] = len(index)
        return self.last

    def restore_pending(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over steps that had changed, and are in no revision."""
        step, game = self._storage.locate(self.take_over(tensors))
        self._changed[game, step % self._storage.rows] = True

    def needed(self, saved: NDArray[np.int64]) -> set[int]:
        """The revisions that have the newest values of a step; forgets the others."""
        game, step = self._there(saved)
        numbers = set(np.unique(self._newest[game, step % self._storage.rows]).tolist())
        self._sizes = {number: size for number, size in self._sizes.items() if number in numbers}
        return set(self._sizes)

    def limit(self, saved: NDArray[np.int64]) -> None:
        """Where there are many revisions, let the oldest ones' steps be written again."""
        self.needed(saved)
        most = MOST_COPIES * self._changed.size
        game, step = self._there(saved)
        row = step % self._storage.rows
        while sum(self._sizes.values()) > most:
            oldest = min(self._sizes)
            of_it = self._newest[game, row] == oldest
            place = game[of_it], row[of_it]
            self._changed[place], self._newest[place] = True, 0
            del self._sizes[oldest]

    def _there(self, saved: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Game and step of all complete steps before ``saved``."""
        first = self._storage.first
        return ranges(np.minimum(first, saved), saved)
