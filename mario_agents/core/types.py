"""The nouns that every algorithm here is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Batch = Mapping[str, Tensor]
"""A training batch by field name (``obs``, ``action``, ``reward``, ``discount``, ``next_obs``,
``weight``, ``index``...), each with the batch as its first dimension."""

Metrics = dict[str, float]
"""What one training step wants to have plotted, by metric name."""


class Model(Protocol):
    """Networks that choose actions. ``state_dict`` and the like are ``nn.Module``'s own."""

    def select_action(self, obs: Tensor, epsilon: float | Tensor, rng: torch.Generator) -> Tensor:
        """Epsilon-greedy actions ``(B,)`` int64 for observations ``(B, ...)`` uint8.

        ``epsilon`` is one for all, or ``(B,)`` on the CPU, as is ``rng``.
        """


class Learner(Protocol):
    """A loss over batches, and what has to happen around it.

    A learner owns no optimizer and no environment: a worker computes gradients with it, and
    whoever owns the weights (the same process, or the coordinator) applies them.
    """

    @property
    def model(self) -> nn.Module:
        """What the gradients are of; parameters that ask for none (targets) have none."""

    def compute_loss(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The scalar loss, and detached metrics; ``"priority"`` ``(B,)`` is fed back to replay."""

    def update_targets(self, tau: float) -> None:
        """Move target networks: ``target <- (1 - tau) * target + tau * online``."""


class ReplayBuffer(Protocol):
    """Experience from a fixed number of environments that are stepped together."""

    def add(
        self,
        obs: NDArray[np.uint8],
        action: NDArray[np.int64],
        reward: NDArray[np.float32],
        terminated: NDArray[np.bool_],
        truncated: NDArray[np.bool_],
        final_obs: NDArray[np.uint8],
    ) -> None:
        """Append one step of every environment.

        Args:
            obs: ``(N, stack, H, W)``, what the actions were chosen on.
            action, reward, terminated, truncated: ``(N,)``, what came of it.
            final_obs: ``(N, stack, H, W)``, the observation *after* the step, before any reset.
        """

    def sample(self, batch_size: int) -> dict[str, NDArray[Any]]:
        """Draw a batch; see :data:`Batch` for the fields."""

    def update_priorities(self, index: NDArray[np.int64], priority: NDArray[np.float32]) -> None:
        """Tell how surprising the sampled transitions were (ignored by uniform replay)."""

    def __len__(self) -> int:
        """Number of transitions that can be sampled."""
