"""n-step transitions, for learners of action values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mario_agents.core.dataset import Dataset, NumpyBatch
from mario_agents.core.types import Step
from mario_agents.ops.nstep import n_step_returns
from mario_agents.replay.saving import StorageSaver
from mario_agents.replay.selectors import Selector
from mario_agents.replay.storage import Storage


def transitions(
    storage: Storage, index: NDArray[np.int64], *, n_step: int, gamma: float
) -> dict[str, NDArray[Any]]:
    """The transitions that begin with given steps.

    A return sums over ``n_step`` steps, less where the episode ends or is cut before, and for the
    newest steps of an episode that still goes on as many as there are.

    Args:
        storage: of which.
        index: ``(B,)`` int64.
        n_step: at least 1.
        gamma: discount for each step.

    Returns:
        ``obs`` and ``next_obs`` ``(B, *obs_shape)`` uint8, ``action`` int64, ``reward`` and
        ``discount`` float32 (the n-step return and what the value of ``next_obs`` is multiplied
        by), ``index`` int64; each ``(B,)``.
    """
    columns, rows = storage.columns, storage.rows
    step, game = storage.locate(index)
    window = step[:, None] + np.arange(n_step)
    # The newest step has no successor yet: treated as a truncation, it bootstraps from where the
    # game stands now.
    newest = window >= storage.ends()[game][:, None] - 1
    place = game[:, None], window % rows
    returns = n_step_returns(
        columns["reward"][place],
        columns["terminated"][place],
        columns["truncated"][place] | newest,
        gamma,
    )
    row = step % rows
    return {
        "obs": storage.obs(game, row),
        "action": columns["action"][game, row],
        "reward": returns.reward,
        "discount": returns.discount,
        "next_obs": storage.next_obs(game, (step + returns.last) % rows),
        "index": index,
    }


class TransitionReplay(Dataset):
    """n-step transitions, with one batch for so many agent steps.

    Args:
        storage: keeps the steps.
        selector: draws from it.
        n_step, gamma: see :func:`transitions`.
        batch_size: transitions in a batch.
        learning_starts: transitions in the storage before the first batch.
        train_every: agent steps for each batch.
        save: whether a checkpoint holds the steps too.
    """

    def __init__(
        self,
        storage: Storage,
        selector: Selector,
        *,
        n_step: int,
        gamma: float,
        batch_size: int,
        learning_starts: int,
        train_every: int,
        save: bool,
    ) -> None:
        self.storage, self.selector = storage, selector
        self._n_step, self._gamma = n_step, gamma
        self._batch_size, self._learning_starts = batch_size, learning_starts
        self._train_every = train_every
        self._saver = StorageSaver(storage) if save else None
        self._added = 0
        self.credit = 0
        """Agent steps that no batch has been drawn for yet."""

    def add(self, step: Step, worker: int) -> None:
        """See :class:`~mario_agents.core.dataset.Dataset`."""
        self.selector.added(self.storage.add(step, worker))
        self._added += self.storage.num_envs

    def cut(self, worker: int) -> None:
        """See :class:`~mario_agents.core.dataset.Dataset`."""
        self.storage.cut(worker)

    def batches(self, at: int) -> Iterator[NumpyBatch]:
        """See :class:`~mario_agents.core.dataset.Dataset`: what :func:`transitions` gives, and
        ``weight`` ``(B,)`` float32."""
        if len(self.storage) >= self._learning_starts:
            self.credit += self._added
        self._added = 0
        while self.credit >= self._train_every:
            self.credit -= self._train_every
            index, weight = self.selector.select(self._batch_size, at)
            batch = transitions(self.storage, index, n_step=self._n_step, gamma=self._gamma)
            yield {**batch, "weight": weight}

    def feedback(self, batch: NumpyBatch, measured: Mapping[str, Tensor]) -> None:
        """See :class:`~mario_agents.core.dataset.Dataset`; ``priority`` ``(B,)`` is the size of
        the errors."""
        if "priority" in measured:
            error = measured["priority"].cpu().numpy().astype(np.float32)
            self.selector.feedback(batch["index"], error)

    def gauges(self) -> dict[str, float]:
        """See :class:`~mario_agents.core.dataset.Dataset`."""
        return {"buffer_size": len(self.storage)}

    def write_chunk(self, write: Callable[[Mapping[str, Tensor]], str]) -> bool:
        """See :class:`~mario_agents.core.dataset.Dataset`."""
        return self._saver is not None and self._saver.write_chunk(write)

    def chunks(self) -> tuple[str, ...]:
        """See :class:`~mario_agents.core.dataset.Dataset`."""
        return self._saver.chunks() if self._saver else ()

    def tensors(self) -> dict[str, Tensor]:
        """See :class:`~mario_agents.core.dataset.Dataset`."""
        if self._saver is None:
            return {}
        drawn = {f"selector.{name}": array for name, array in self.selector.arrays().items()}
        return {**self._saver.tensors(), **{n: torch.from_numpy(a) for n, a in drawn.items()}}

    def state(self) -> dict[str, Any]:
        """See :class:`~mario_agents.core.dataset.Dataset`."""
        state = {"credit": self.credit, "rng": self.selector.rng.bit_generator.state}
        return {**state, "storage": self._saver.state()} if self._saver else state

    def read_chunk(self, tensors: Mapping[str, Tensor]) -> None:
        """See :class:`~mario_agents.core.dataset.Dataset`."""
        if self._saver is not None:
            self._saver.read_chunk(tensors)

    def restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """See :class:`~mario_agents.core.dataset.Dataset`."""
        self.credit = int(state["credit"])
        self.selector.rng.bit_generator.state = state["rng"]
        if self._saver is not None and "storage" in state:
            self._saver.restore(tensors, state["storage"])
            prefix = "selector."
            arrays = {
                name.removeprefix(prefix): tensor.numpy()
                for name, tensor in tensors.items()
                if name.startswith(prefix)
            }
            self.selector.restore(arrays)
        for worker in self.storage.shards:
            self.cut(worker)
