"""n-step transitions, for learners of action values."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mario_agents.core.dataset import NumpyBatch
from mario_agents.ops.nstep import n_step_returns, n_step_td_errors
from mario_agents.replay.dataset import ReplayDataset
from mario_agents.replay.selectors import InitialErrors, Selector
from mario_agents.replay.storage import Schema, Storage


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


VALUE_COLUMNS: Schema = {"q_taken": ((), np.float32), "q_best": ((), np.float32)}
"""What :class:`ValueErrors` reads: the values of the action that a step took and of the best one,
both for what it began with, as the network had them that played."""


class ValueErrors(InitialErrors):
    """n-step errors by the values that came with the steps; no network is asked again.

    Where an episode is truncated, the value of its last observation is not known, since no action
    was chosen there; that of the observation before it is taken for it.

    Args:
        storage: with :data:`VALUE_COLUMNS` among its ``extras``.
        n_step, gamma: see :func:`transitions`.
    """

    def __init__(self, storage: Storage, *, n_step: int, gamma: float) -> None:
        self._storage, self._n_step, self._gamma = storage, n_step, gamma
        self.delay = n_step

    def __call__(self, step: NDArray[np.int64], game: NDArray[np.int64]) -> NDArray[np.float32]:
        """The errors ``(K,)`` of the steps ``step`` of the games ``game``."""
        columns, rows = self._storage.columns, self._storage.rows
        window = step[:, None] + np.arange(self._n_step + 1)
        place = game[:, None], window % rows
        reward, terminated, truncated, best = (
            columns[name][place] for name in ("reward", "terminated", "truncated", "q_best")
        )
        next_value = np.where(truncated[:, :-1], best[:, :-1], best[:, 1:])
        return n_step_td_errors(
            reward[:, :-1],
            terminated[:, :-1],
            truncated[:, :-1],
            columns["q_taken"][game, step % rows],
            next_value,
            self._gamma,
        )


class TransitionReplay(ReplayDataset):
    """n-step transitions, with one batch for so many agent steps.

    Args:
        storage: keeps the steps.
        selector: draws from it.
        n_step: see :func:`transitions`.
        gamma: discount for each step, or what it is by agent steps of the run.
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
        gamma: float | Callable[[int], float],
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

    @property
    def ready(self) -> bool:
        """Whether there is enough, and anything that can be drawn."""
        return super().ready and len(self.selector) > 0

    def draw(self, at: int, size: int | None = None) -> NumpyBatch:
        """What :func:`transitions` gives, and ``weight`` ``(B,)`` float32."""
        index, weight = self.selector.select(size or self._batch_size, at)
        gamma = self._gamma(at) if callable(self._gamma) else self._gamma
        batch = transitions(self.storage, index, n_step=self._n_step, gamma=gamma)
        return {**batch, "weight": weight}

    def feedback(self, batch: NumpyBatch, measured: Mapping[str, Tensor]) -> None:
        """Set priorities: ``priority`` ``(B,)`` is the size of the errors."""
        if "priority" in measured:
            error = measured["priority"].cpu().numpy().astype(np.float32)
            self.selector.feedback(batch["index"], error)

    def gauges(self) -> dict[str, float]:
        """``buffer_size``, and what the selector measures."""
        return {**super().gauges(), **self.selector.gauges()}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What the selector saves."""
        return self.selector.arrays()

    def restore_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take over :meth:`arrays`."""
        self.selector.restore(arrays)
