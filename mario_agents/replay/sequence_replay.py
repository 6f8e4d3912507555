"""Sequences of observations, for world models."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mario_agents.core.dataset import NumpyBatch
from mario_agents.replay.dataset import ReplayDataset
from mario_agents.replay.selectors import draw_starts
from mario_agents.replay.storage import Storage
from mario_agents.replay.windows import sequences


class SequenceReplay(ReplayDataset):
    """Sequences with equal chances, with one batch for so many agent steps.

    Columns that the policy fills, such as the state of a recurrent model, come with every sequence,
    and what the learner measures under their names takes their place: so they follow the weights.

    Args:
        storage: keeps the steps.
        rng: draws.
        batch_size: sequences in a batch.
        length: observations of a sequence that are learned from.
        context: observations before them, with whose recurrent state the sequence begins.
        online: whether what is new comes first: every step is learned from once soon after it came,
            and the rest of a batch is drawn.
        learning_starts: steps in the storage before the first batch.
        train_every: agent steps for each batch.
        save: whether a checkpoint holds the steps too.
        error_buffer: agent steps that may wait for their batches before the dataset is full.
    """

    def __init__(
        self,
        storage: Storage,
        rng: np.random.Generator,
        *,
        batch_size: int,
        length: int,
        context: int,
        online: bool,
        learning_starts: int,
        train_every: float,
        save: bool,
        error_buffer: float = math.inf,
    ) -> None:
        super().__init__(
            storage,
            rng,
            learning_starts=learning_starts,
            train_every=train_every,
            save=save,
            error_buffer=error_buffer,
        )
        self._batch_size, self._context, self._online = batch_size, context, online
        self._whole = context + length
        self._next = np.zeros(storage.games, dtype=np.int64)
        """By game, the first step that has not been learned from online."""

    @property
    def ready(self) -> bool:
        """Whether there is a sequence, and enough besides."""
        longest = int((self.storage.ends() - self._first()).max())
        return super().ready and longest >= self._whole

    def draw(self, at: int, size: int | None = None) -> NumpyBatch:
        """What :func:`~mario_agents.replay.windows.sequences` gives, ``(B, context + length)``."""
        size = size or self._batch_size
        start = self._take_new(size) if self._online else np.zeros(0, dtype=np.int64)
        rest = size - len(start)
        if rest:
            others = draw_starts(
                self.storage, self.rng, rest, length=self._whole, first=self._first()
            )
            start = np.concatenate([start, others])
        batch = sequences(self.storage, start, self._whole, extras=self.storage.extras)
        if self._online:
            self._advance(batch["index"][: size - rest])
        return batch

    def feedback(self, batch: NumpyBatch, measured: Mapping[str, Tensor]) -> None:
        """Overwrite columns: ``(B, length, ...)`` under the name of one are its values from now on.

        Those of the context stay: it was not learned from, and may have changed since the batch was
        drawn.
        """
        names = [name for name in self.storage.extras if name in measured]
        values = {name: measured[name].cpu().numpy() for name in names}
        self.replace(batch["index"][:, self._context :], values)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """By game, the first step that the online queue has not given out."""
        return {"next": self._next}

    def restore_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take over :meth:`arrays`."""
        self._next[:] = arrays["next"]

    def _first(self) -> NDArray[np.int64]:
        """By game, the oldest step that a sequence can begin with: the reward that came with it is
        that of the step before."""
        first = self.storage.first
        return first + (first > 0)

    def _take_new(self, most: int) -> NDArray[np.int64]:
        """The longest waiting whole sequences that are new, at most so many of them."""
        np.maximum(self._next, self._first() + self._context, out=self._next)
        waiting = self.storage.ends() - self._next
        length = self._whole - self._context
        game = np.argsort(-waiting, kind="stable")[:most]
        game = game[waiting[game] >= length]
        return self.storage.index(self._next[game] - self._context, game)

    def _advance(self, index: NDArray[np.int64]) -> None:
        """What these sequences ``(n, context + length)`` have of each game is not new any more."""
        step, game = self.storage.locate(index.max(axis=1))
        # A sequence of little but ends has no new step: go on all the same.
        self._next[game] = np.maximum(self._next[game], step) + 1
