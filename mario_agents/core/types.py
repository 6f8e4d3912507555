"""The nouns that every algorithm here is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Batch = Mapping[str, Tensor]
"""A training batch by field name (``obs``, ``action``, ``reward``, ``discount``, ``next_obs``,
``weight``, ``index``...), each with the batch as its first dimension."""

Metrics = dict[str, float]
"""What one training step wants to have plotted, by metric name."""

State = Any
"""What a recurrent policy remembers of its games: a tensor with the games as its first dimension,
or a (named) tuple or dict of such states; ``()`` for a feed-forward network."""


class Step(NamedTuple):
    """One agent step of all ``N`` games of a worker; every array has them as first dimension.

    Attributes:
        obs: ``(N, ...)`` uint8, what the actions were chosen on.
        action: ``(N,)`` int64.
        reward: ``(N,)`` float32.
        terminated: ``(N,)`` bool, whether the future brings nothing more: the episode ended, or a
            life was lost, even where the game goes on.
        truncated: ``(N,)`` bool, whether it would have brought more, but was cut off; never where
            ``terminated``.
        final_obs: ``(N, ...)`` uint8, what the step led to: before any reset or restored snapshot.
        is_first: ``(N,)`` bool, whether this is the first step after the beginning, an end or a
            lost life: where the recurrent state was cleared before acting.
        extras: what the policy wants kept, by name, each ``(N, ...)``: log-probabilities, values,
            the recurrent state before the step.
    """

    obs: NDArray[np.uint8]
    action: NDArray[np.int64]
    reward: NDArray[np.float32]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    final_obs: NDArray[np.uint8]
    is_first: NDArray[np.bool_]
    extras: dict[str, NDArray[Any]]


def clear_state(state: State, is_first: Tensor, initial: State = None) -> State:
    """``state`` where a game goes on, and ``initial`` where it begins.

    Args:
        state: of ``N`` games.
        is_first: ``(N,)`` bool, on the device of the state.
        initial: of the same structure, ``(N, ...)`` or ``(1, ...)``; None is all zeros.
    """
    if isinstance(state, Tensor):
        where = is_first.reshape(-1, *[1] * (state.ndim - 1))
        return torch.where(where, torch.zeros_like(state) if initial is None else initial, state)
    if isinstance(state, dict):
        begin = initial or dict.fromkeys(state)
        return {name: clear_state(part, is_first, begin[name]) for name, part in state.items()}
    begin = initial or (None,) * len(state)
    make = getattr(type(state), "_make", tuple)  # that of a NamedTuple
    return make(
        clear_state(part, is_first, first) for part, first in zip(state, begin, strict=True)
    )


class Learner(Protocol):
    """A loss over batches, and what has to happen around it.

    A learner owns no optimizer and no environment: a worker computes gradients with it, and
    whoever owns the weights (the same process, or the coordinator) applies them. Whoever derives
    from this class need only have a model and a loss.

    Attributes:
        model: what the gradients are of; parameters that ask for none (targets) have none.
        capturable: whether :meth:`compute_loss` may be recorded on a GPU and then replayed, see
            :mod:`mario_agents.core.graphed`: it depends on nothing but the tensors of its batch and
            of the model, and never asks the device for a number.
    """

    model: nn.Module
    capturable: bool = False

    def prepare(self, batch: Mapping[str, Any]) -> Mapping[str, Any]:
        """What :meth:`compute_loss` needs of a batch of arrays, as arrays or tensors on the CPU:
        here is the place for random numbers, and for sizes that depend on what is in a batch. By
        default the batch itself.

        It may be called in another thread, and must not depend on the weights.
        """
        return batch

    def compute_loss(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The scalar loss of a batch that was prepared, and detached metrics; ``"priority"``
        ``(B,)`` is fed back to replay.

        It may move buffers, but never parameters: those are the owner's, and workers may share
        their memory.
        """

    def after_update(self) -> None:
        """The optimizer has changed the weights: move target networks, if there are any."""
        return

    def statistics(self) -> Mapping[str, Tensor]:
        """Float32 buffers of the model, by name, that :meth:`compute_loss` moves in place (running
        means of returns, PopArt); by default none.

        They travel with the gradients: the owner of the weights moves its own by the mean of what
        the workers' moved by, and sends them back with the weights.
        """
        return {}
