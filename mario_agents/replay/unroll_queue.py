"""Unrolls in the order that they came in, and old ones beside them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mario_agents.core.dataset import Dataset, NumpyBatch
from mario_agents.core.types import Step
from mario_agents.ops.prioritized import importance_weights, scaled_priority
from mario_agents.replay.storage import Schema, Storage
from mario_agents.replay.windows import unrolls
from mario_envkit.errors import ConfigError


class UnrollQueue(Dataset):
    """Unrolls of all workers, each learned from once when it is new, and again as an old one.

    ``length`` steps of a worker are an unroll of each of its games; the first one begins with the
    worker's first step, or with the first one after :meth:`cut`. What has been overwritten before a
    batch was made of it is dropped; who does not want that gives the storage room for as many steps
    as may wait, and adds no more.

    Old unrolls are whole ones, as they were played: what is kept of their first step, such as
    recurrent states, is there for each of them.

    Args:
        storage: keeps the steps.
        rng: draws old unrolls.
        length: steps of an unroll.
        batch_size: new unrolls in a batch.
        replayed: old unrolls in a batch, drawn with replacement from all that are there
            (Espeholt et al., "IMPALA", ICML 2018, section 5.2.2).
        alpha: 0 draws them with equal chances, 1 in proportion to their priorities
            (:func:`~mario_agents.ops.prioritized.scaled_priority`): what the learner measures as
            ``priority`` ``(B,)``, and before that the largest so far.
        beta: how far the bias of drawing some more often is corrected by ``weight``.
        initial: columns that are kept of the first step only, such as recurrent states; those of
            the storage come for every step.
        most_waiting: new unrolls beyond those of a batch that may wait before the queue is full.

    Raises:
        ConfigError: if the storage has no room for an unroll of each game.
    """

    def __init__(
        self,
        storage: Storage,
        rng: np.random.Generator,
        *,
        length: int,
        batch_size: int,
        replayed: int = 0,
        alpha: float = 0.0,
        beta: float = 0.0,
        initial: Schema | None = None,
        most_waiting: float = math.inf,
    ) -> None:
        if storage.rows < length:
            raise ConfigError(
                f"An unroll has {length} steps, and there is room for {storage.rows} of each of "
                f"the {storage.games} environments; make the replay larger, or unrolls shorter."
            )
        self.storage, self.rng = storage, rng
        self._length, self._batch_size, self._replayed = length, batch_size, replayed
        self._alpha, self._beta = alpha, beta
        self._most_waiting = batch_size + most_waiting
        # A place is used again when the unroll in it has left: one is for that which is growing.
        places = storage.rows // length + 1, storage.games
        self._start = np.full(places, -1, dtype=np.int64)
        """First steps of the unrolls in these places; -1 where there is none that is whole."""
        self._priority = np.zeros(places)
        self._largest = 1.0
        self._initial = {
            name: np.zeros((*places, *shape), dtype)
            for name, (shape, dtype) in (initial or {}).items()
        }
        self._next = dict.fromkeys(storage.shards, 0)
        """By worker, the first step that belongs to no whole unroll."""
        self._place = dict.fromkeys(storage.shards, 0)
        """By worker, where the unroll is that is growing."""
        self._waiting = np.zeros(0, dtype=np.int64)
        """First steps of new unrolls, as the storage calls them."""
        self.dropped = 0

    def __len__(self) -> int:
        """Number of unrolls that wait."""
        return len(self._waiting)

    def add(self, step: Step, worker: int) -> None:
        """Append one step of all games of a worker; every ``length`` of them are an unroll each."""
        added = self.storage.add(step, worker)
        place, first = (self._place[worker], added.games), self._next[worker]
        if added.step == first:
            self._start[place] = -1
            for name, column in self._initial.items():
                column[place] = step.extras[name]
        if added.step + 1 == first + self._length:
            self._start[place], self._priority[place] = first, self._largest
            games = np.arange(added.games.start, added.games.stop)
            new = self.storage.index(np.full(len(games), first), games)
            self._waiting = np.concatenate([self._waiting, new])
            self._drop()
            self._next[worker] = added.step + 1
            self._place[worker] = (place[0] + 1) % len(self._start)

    def cut(self, worker: int) -> None:
        """End the worker's shard where it is: its next step follows no other, and begins an unroll;
        the one that was growing is left out."""
        self.storage.cut(worker)
        self._next[worker] = self.storage.shards[worker].steps

    @property
    def full(self) -> bool:
        """Whether so many unrolls wait that who plays should wait too."""
        return len(self) >= self._most_waiting

    def batches(self, at: int) -> Iterator[NumpyBatch]:
        """What :func:`~mario_agents.replay.windows.unrolls` gives, ``(T, B)``, while there are
        enough new unrolls, which come first; and of each, ``(B, ...)``, ``is_replayed`` bool,
        ``weight`` float32, and ``initial``."""
        self._drop()
        while len(self._waiting) >= self._batch_size:
            new, self._waiting = np.split(self._waiting, [self._batch_size])
            old, weight = self._draw()
            yield {
                **self._batch(np.concatenate([new, old])),
                "is_replayed": np.arange(len(new) + len(old)) >= len(new),
                "weight": np.concatenate([np.ones(len(new), np.float32), weight]),
            }
            self._drop()

    def feedback(self, batch: NumpyBatch, measured: Mapping[str, Tensor]) -> None:
        """Set priorities: ``priority`` ``(B,)`` is how surprising each unroll was."""
        if self._alpha and "priority" in measured:
            start = batch["index"][0]
            priority = scaled_priority(measured["priority"].cpu().numpy(), self._alpha)
            here = self.storage.present(start)
            self._priority[self._places(start[here])] = priority[here]
            self._largest = max(self._largest, float(priority.max()))

    def gauges(self) -> dict[str, float]:
        """``buffer_size``: steps in the storage; ``dropped``: unrolls that were overwritten before
        a batch was made of them."""
        return {"buffer_size": len(self.storage), "dropped": self.dropped}

    def state(self) -> dict[str, Any]:
        """The state of the generator that draws."""
        return {"rng": self.rng.bit_generator.state}

    def restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Take over :meth:`state`; unrolls are not saved."""
        self.rng.bit_generator.state = state["rng"]

    def _batch(self, start: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        batch = unrolls(self.storage, start, self._length, extras=self.storage.extras)
        if self._initial:
            places = self._places(start)
            batch |= {name: column[places] for name, column in self._initial.items()}
        return batch

    def _draw(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Old unrolls and their weights."""
        if not self._replayed:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        place, game = ((self._start >= 0) & (self._start >= self.storage.first)).nonzero()
        chance = self._priority[place, game] if self._alpha else np.ones(len(place))
        chance = chance / chance.sum()
        drawn = self.rng.choice(len(place), self._replayed, p=chance)
        start = self.storage.index(self._start[place, game], game)[drawn]
        return start, importance_weights(chance[drawn], len(place), self._beta)

    def _places(self, start: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where whole unrolls ``(B,)`` that have not left are kept."""
        step, game = self.storage.locate(start)
        return (self._start[:, game] == step).argmax(axis=0), game

    def _drop(self) -> None:
        """Forget what has been overwritten; workers may differ in speed, so that it can be any."""
        here = self.storage.present(self._waiting)
        if not here.all():
            self.dropped += int((~here).sum())
            self._waiting = self._waiting[here]
