"""Unrolls in the order that they came in, for learners that follow their actors closely."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator

import numpy as np
from numpy.typing import NDArray

from mario_agents.core.dataset import Dataset, NumpyBatch
from mario_agents.core.types import Step
from mario_agents.replay.selectors import draw_starts
from mario_agents.replay.storage import Storage
from mario_agents.replay.windows import unrolls


class UnrollQueue(Dataset):
    """Unrolls of all workers, each learned from once, and old ones beside them.

    So many steps of a worker are an unroll of each of its games. What has been overwritten before a
    batch was made of it is dropped; who does not want that gives the storage room for as many steps
    as may wait, and adds no more.

    Args:
        storage: keeps the steps.
        rng: draws old unrolls.
        length: steps of an unroll.
        batch_size: new unrolls in a batch, a multiple of the games of a worker.
        replayed: old unrolls in a batch for each new one, drawn with equal chances from all steps
            that are there (Espeholt et al., "IMPALA", ICML 2018, section 5.2.2, has one).
        initial: columns that are wanted as they were at the first step only, such as recurrent
            states; the others that the policy fills come for every step.
    """

    def __init__(
        self,
        storage: Storage,
        rng: np.random.Generator,
        *,
        length: int,
        batch_size: int,
        replayed: float = 0.0,
        initial: Collection[str] = (),
    ) -> None:
        self.storage, self.rng = storage, rng
        self._length, self._workers = length, max(batch_size // storage.num_envs, 1)
        self._replayed = round(replayed * self._workers * storage.num_envs)
        self._initial = tuple(initial)
        self._extras = tuple(name for name in storage.extras if name not in initial)
        self._next = dict.fromkeys(storage.shards, 0)
        """By worker, the first step that belongs to no unroll yet."""
        self._waiting: deque[NDArray[np.int64]] = deque()
        self.dropped = 0
        """Unrolls that were overwritten before a batch was made of them."""

    def __len__(self) -> int:
        """Number of unrolls that wait."""
        return len(self._waiting) * self.storage.num_envs

    def add(self, step: Step, worker: int) -> None:
        """Append one step of all games of a worker; every ``length`` of them are an unroll each."""
        added = self.storage.add(step, worker)
        if added.step + 1 - self._next[worker] == self._length:
            games = np.arange(added.games.start, added.games.stop)
            first = np.full(len(games), self._next[worker])
            self._waiting.append(self.storage.index(first, games))
            self._next[worker] = added.step + 1
            self._drop()

    def cut(self, worker: int) -> None:
        """End the worker's shard where it is: its next step follows no other."""
        self.storage.cut(worker)

    def batches(self, at: int) -> Iterator[NumpyBatch]:
        """What :func:`~mario_agents.replay.windows.unrolls` gives, ``(T, B)``, and ``is_replayed``
        ``(B,)`` bool, while there are enough new unrolls; these come first."""
        self._drop()
        while len(self._waiting) >= self._workers:
            start = np.concatenate([self._waiting.popleft() for _ in range(self._workers)])
            is_replayed = np.arange(len(start) + self._replayed) >= len(start)
            if self._replayed:
                old = draw_starts(self.storage, self.rng, self._replayed, length=self._length)
                start = np.concatenate([start, old])
            batch = unrolls(
                self.storage, start, self._length, extras=self._extras, initial=self._initial
            )
            yield {**batch, "is_replayed": is_replayed}
            self._drop()

    def gauges(self) -> dict[str, float]:
        """``buffer_size``: steps in the storage."""
        return {"buffer_size": len(self.storage)}

    def _drop(self) -> None:
        """Forget what has been overwritten; workers may differ in speed, so that it can be any."""
        here = [start for start in self._waiting if self.storage.present(start).all()]
        self.dropped += (len(self._waiting) - len(here)) * self.storage.num_envs
        self._waiting = deque(here)
