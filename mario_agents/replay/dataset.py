"""What datasets that keep their steps have in common: when batches are due, and what is saved."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mario_agents.core.dataset import Dataset, NumpyBatch
from mario_agents.core.types import Step
from mario_agents.replay.saving import StorageSaver
from mario_agents.replay.storage import Storage


class ReplayDataset(Dataset):
    """Steps in a storage, with one batch for so many agent steps.

    So batches are never ahead of the steps; they may be behind by ``error_buffer`` steps, after
    which the dataset is :attr:`full`. Both together are the rate limiter of Reverb (Cassirer et
    al., "Reverb: a framework for experience replay", 2021), whose ``samples_per_insert`` is the
    steps in a batch over ``train_every``.

    Args:
        storage: keeps the steps.
        rng: draws; its state is saved.
        learning_starts: steps in the storage before the first batch.
        train_every: agent steps for each batch; it may be a fraction, as with several for a step.
        save: whether a checkpoint holds the steps too.
        error_buffer: agent steps beyond ``train_every`` that may wait for their batches.
    """

    def __init__(
        self,
        storage: Storage,
        rng: np.random.Generator,
        *,
        learning_starts: int,
        train_every: float,
        save: bool,
        error_buffer: float = math.inf,
    ) -> None:
        self.storage, self.rng = storage, rng
        self._learning_starts, self._train_every = learning_starts, train_every
        self._most_credit = train_every + error_buffer
        self._saver = StorageSaver(storage) if save else None
        self._added = 0
        self.credit: float = 0
        """Agent steps that no batch has been drawn for yet."""
        self._inserted, self._sampled = 0, 0

    @abstractmethod
    def draw(self, at: int, size: int | None = None) -> NumpyBatch:
        """Draw a batch at agent step ``at`` of the run, of another ``size`` than usual if given."""

    @property
    def ready(self) -> bool:
        """Whether there is enough to draw from."""
        return len(self.storage) >= self._learning_starts

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What is saved beside the steps, by name. By default nothing."""
        return {}

    def restore_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take over :meth:`arrays`, after the storage has been restored; no arrays where nothing
        had been saved. By default nothing."""
        return

    def add(self, step: Step, worker: int) -> None:
        """Append one step of all games of a worker to its shard."""
        self.storage.add(step, worker)
        self._added += self.storage.num_envs

    def cut(self, worker: int) -> None:
        """End the worker's shard where it is: its next step follows no other."""
        self.storage.cut(worker)

    @property
    def full(self) -> bool:
        """Whether batches are behind the steps by as much as they may be."""
        return self.ready and self.credit + self._added >= self._most_credit

    def batches(self, at: int) -> Iterator[NumpyBatch]:
        """So many batches of :meth:`draw` as steps have come for, once there is enough."""
        if self.ready:
            self.credit += self._added
            self._inserted += self._added
        self._added = 0
        while self.credit >= self._train_every:
            self.credit -= self._train_every
            batch = self.draw(at)
            self._sampled += batch["index"].size
            yield batch

    def gauges(self) -> dict[str, float]:
        """``buffer_size``: steps in the storage; ``samples_per_insert``: how often, on average, a
        step has been drawn since there were enough, in this process."""
        rate = self._sampled / self._inserted if self._inserted else math.nan
        return {"buffer_size": len(self.storage), "samples_per_insert": rate}

    def replace(self, index: NDArray[np.int64], values: Mapping[str, NDArray[Any]]) -> None:
        """Replace values of columns, such as recurrent states computed with newer weights.

        Args:
            index: ``(*shape)``; steps that have left, and -1, are skipped.
            values: ``(*shape, ...)`` by name of the column.
        """
        for name, each in values.items():
            self.storage.write(name, index, each)
        if values and self._saver is not None:
            self._saver.changed(index)

    def write_chunk(
        self, write: Callable[[Mapping[str, Tensor]], str], *, saving: bool = False
    ) -> bool:
        """Let ``write`` keep the next piece of the storage, if steps are saved."""
        return self._saver is not None and self._saver.write_chunk(write, saving=saving)

    def chunks(self) -> tuple[str, ...]:
        """Names of the pieces that hold steps which are still in the storage."""
        return self._saver.chunks() if self._saver else ()

    def tensors(self) -> dict[str, Tensor]:
        """What of the storage is in no piece, and :meth:`arrays`; nothing without ``save``."""
        if self._saver is None:
            return {}
        beside = {f"{_BESIDE}{name}": array for name, array in self.arrays().items()}
        return {**self._saver.tensors(), **{n: torch.from_numpy(a) for n, a in beside.items()}}

    def state(self) -> dict[str, Any]:
        """Steps that batches are due for, the generator's state, the storage's counters."""
        state = {"credit": self.credit, "rng": self.rng.bit_generator.state}
        return {**state, "storage": self._saver.state()} if self._saver else state

    def read_chunk(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over a piece of the storage, before :meth:`restore`."""
        if self._saver is not None:
            self._saver.read_chunk(tensors)

    def restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Take over :meth:`tensors` and :meth:`state`; every worker is cut."""
        self.credit = state["credit"]
        self.rng.bit_generator.state = state["rng"]
        if self._saver is not None and "storage" in state:
            self._saver.restore(tensors, state["storage"])
            self.restore_arrays(
                {
                    name.removeprefix(_BESIDE): tensor.numpy()
                    for name, tensor in tensors.items()
                    if name.startswith(_BESIDE)
                }
            )
        for worker in self.storage.shards:
            self.cut(worker)


_BESIDE = "beside."
