"""What is played and what was demonstrated, mixed in every batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mario_agents.core.dataset import Dataset, NumpyBatch
from mario_agents.core.types import Step
from mario_agents.replay.dataset import ReplayDataset

_PREFIX = "demonstrations."


class WithDemonstrations(Dataset):
    """A replay buffer beside another one of demonstrations, which never leave it: every batch has
    so many of both (the demo ratio of Paine et al., "Making Efficient Use of Demonstrations to
    Solve Hard Exploration Problems", ICLR 2020, which decides by chance).

    Batches say which are which: ``demonstrated`` ``(B,)`` bool; the demonstrations are last.

    Args:
        own: keeps what is played, and says when batches are due.
        demonstrations: has been filled already; nothing is added to it. Its usual batches are
            those of :meth:`demonstrated`.
        share: so many demonstrations come with each batch of ``own``.
        save: whether a checkpoint holds what changes of the demonstrations (priorities, states of
            a recurrent model); the demonstrations themselves are never in it.
    """

    def __init__(
        self, own: ReplayDataset, demonstrations: ReplayDataset, *, share: int, save: bool
    ) -> None:
        self.own, self.demonstrations = own, demonstrations
        self._share, self._save = share, save

    def demonstrated(self, at: int = 0, size: int | None = None) -> NumpyBatch:
        """A batch of demonstrations alone, by default as many as their dataset usually draws."""
        return _labelled(self.demonstrations.draw(at, size), True)

    def batches(self, at: int) -> Iterator[NumpyBatch]:
        """Those that are due of what is played, each with its share of demonstrations."""
        for batch in self.own.batches(at):
            own = _labelled(batch, False)
            yield _joined(own, self.demonstrated(at, self._share)) if self._share else own

    def feedback(self, batch: NumpyBatch, measured: Mapping[str, Tensor]) -> None:
        """What was measured on each sequence or transition goes to where it is from."""
        own = int((~batch["demonstrated"]).sum())
        for dataset, part in ((self.own, slice(own)), (self.demonstrations, slice(own, None))):
            if len(batch["index"][part]):
                dataset.feedback(
                    {name: each[part] for name, each in batch.items() if each.ndim},
                    {name: each[part] for name, each in measured.items() if each.ndim},
                )

    def tensors(self) -> dict[str, Tensor]:
        """Those of what is played, and what changes of the demonstrations."""
        if not self._save:
            return self.own.tensors()
        arrays = {f"{_PREFIX}{name}": array for name, array in self._changing().items()}
        return {**self.own.tensors(), **{n: torch.from_numpy(a) for n, a in arrays.items()}}

    def state(self) -> dict[str, Any]:
        """That of what is played, and the random state of drawing demonstrations."""
        return {**self.own.state(), "demonstrations": self.demonstrations.state()}

    def restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Take over :meth:`tensors` and :meth:`state`."""
        self.own.restore(tensors, state)
        self.demonstrations.rng.bit_generator.state = state["demonstrations"]["rng"]
        found = {
            name.removeprefix(_PREFIX): tensor.numpy()
            for name, tensor in tensors.items()
            if name.startswith(_PREFIX)
        }
        if found:
            columns = self.demonstrations.storage.columns
            for name in self.demonstrations.storage.extras:
                columns[name][:] = found.pop(name)
            self.demonstrations.restore_arrays(found)

    def _changing(self) -> dict[str, NDArray[Any]]:
        storage = self.demonstrations.storage
        columns = {name: storage.columns[name] for name in storage.extras}
        return {**self.demonstrations.arrays(), **columns}

    # The rest is about what is played alone.

    def add(self, step: Step, worker: int) -> None:
        """Append one step of all games of a worker."""
        self.own.add(step, worker)

    def cut(self, worker: int) -> None:
        """The next step of a worker does not follow its last one."""
        self.own.cut(worker)

    @property
    def full(self) -> bool:
        """Whether batches are behind the steps by as much as they may be."""
        return self.own.full

    def gauges(self) -> dict[str, float]:
        """Those of what is played."""
        return self.own.gauges()

    def write_chunk(
        self, write: Callable[[Mapping[str, Tensor]], str], *, saving: bool = False
    ) -> bool:
        """Let ``write`` keep the next piece."""
        return self.own.write_chunk(write, saving=saving)

    def chunks(self) -> tuple[str, ...]:
        """Names of the pieces that are still needed."""
        return self.own.chunks()

    def read_chunk(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over a piece."""
        self.own.read_chunk(tensors)


def _labelled(batch: NumpyBatch, demonstrated: bool) -> dict[str, NDArray[Any]]:
    return {**batch, "demonstrated": np.full(len(batch["index"]), demonstrated)}


def _joined(own: NumpyBatch, others: NumpyBatch) -> dict[str, NDArray[Any]]:
    """Both one after the other; what is a number for a whole batch is that of the first one."""
    return {
        name: np.concatenate([each, others[name]]) if each.ndim else each
        for name, each in own.items()
    }
