"""n-step transitions, for learners of action values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mario_agents.core.dataset import NumpyBatch
from mario_agents.core.types import Step
from mario_agents.ops.nstep import n_step_returns
from mario_agents.replay.dataset import ReplayDataset
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


class TransitionReplay(ReplayDataset):
    """n-step transitions, with one batch for so many agent steps.

    Args:
        storage: keeps the steps.
        selector: draws from it.
        n_step, gamma: see :func:`transitions`.
        batch_size: transitions in a batch.
        learning_starts: transitions in the storage before the first batch.
        train_every: agent steps for each batch.
        save: whether a checkpoint holds the steps too.
        error_buffer: agent steps that may wait for their batches before the dataset is full.
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
        train_every: float,
        save: bool,
        error_buffer: float = math.inf,
    ) -> None:
        super().__init__(
            storage,
            selector.rng,
            learning_starts=learning_starts,
            train_every=train_every,
            save=save,
            error_buffer=error_buffer,
        )
        self.selector, self._batch_size = selector, batch_size
        self._n_step, self._gamma = n_step, gamma

    def add(self, step: Step, worker: int) -> None:
        """Append one step of all games of a worker; the selector hears of it."""
        self.selector.added(self.storage.add(step, worker))
        self._added += self.storage.num_envs

    def draw(self, at: int) -> NumpyBatch:
        """What :func:`transitions` gives, and ``weight`` ``(B,)`` float32."""
        index, weight = self.selector.select(self._batch_size, at)
        batch = transitions(self.storage, index, n_step=self._n_step, gamma=self._gamma)
        return {**batch, "weight": weight}

    def feedback(self, batch: NumpyBatch, measured: Mapping[str, Tensor]) -> None:
        """Set priorities: ``priority`` ``(B,)`` is the size of the errors."""
        if "priority" in measured:
            error = measured["priority"].cpu().numpy().astype(np.float32)
            self.selector.feedback(batch["index"], error)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What the selector saves."""
        return self.selector.arrays()

    def restore_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take over :meth:`arrays`."""
        self.selector.restore(arrays)
