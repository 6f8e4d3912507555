"""Prioritized replay: surprising transitions are drawn more often."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mario_agents.ops.prioritized import importance_weights, scaled_priority
from mario_agents.replay.buffer import UniformReplay
from mario_agents.replay.sum_tree import SumTree


class PrioritizedReplay(UniformReplay):
    """Proportional prioritization: Schaul et al., "Prioritized Experience Replay" (ICLR 2016).

    ``P(i) = p_i**alpha / sum_k p_k**alpha`` with ``p = |TD error| + epsilon``; batches are
    stratified (one draw from each of ``B`` equal shares of the total); new transitions get the
    largest priority seen so far, so that each is likely to be drawn soon after it came.

    Args:
        alpha: 0 uniform, 1 fully proportional.
        beta: how far the bias is corrected; raise the attribute towards 1 during training.
        others: as for :class:`~mario_agents.replay.buffer.UniformReplay`.
    """

    def __init__(
        self,
        capacity: int,
        num_envs: int,
        obs_shape: tuple[int, ...],
        *,
        n_step: int,
        gamma: float,
        rng: np.random.Generator,
        alpha: float = 0.6,
        beta: float = 0.4,
    ) -> None:
        super().__init__(capacity, num_envs, obs_shape, n_step=n_step, gamma=gamma, rng=rng)
        self.alpha, self.beta = alpha, beta
        self.tree = SumTree(num_envs * self.rows)
        self.max_priority = np.ones(1)
        """The largest ``p**alpha`` ever given, ``(1,)``."""

    @property
    def nbytes(self) -> int:
        return super().nbytes + self.tree.nbytes

    def _leaf(self, step: NDArray[np.int64], env: NDArray[np.int64]) -> NDArray[np.int64]:
        return env * self.rows + step % self.rows

    def add(
        self,
        obs: NDArray[np.uint8],
        action: NDArray[np.int64],
        reward: NDArray[np.float32],
        terminated: NDArray[np.bool_],
        truncated: NDArray[np.bool_],
        final_obs: NDArray[np.uint8],
    ) -> None:
        super().add(obs, action, reward, terminated, truncated, final_obs)
        env = np.arange(self.num_envs)
        self.tree[self._leaf(np.full(self.num_envs, self.steps - 1), env)] = self.max_priority[0]

    def _forget(self, first: NDArray[np.int64]) -> None:
        for env in np.flatnonzero(first > self.first):
            gone = np.arange(self.first[env], first[env])
            self.tree[self._leaf(gone, np.full(gone.shape, env))] = 0.0

    def sample(self, batch_size: int) -> dict[str, NDArray[Any]]:
        """Draw by priority; ``weight`` holds the importance weights, at most 1."""
        if len(self) == 0:
            raise ValueError("An empty replay buffer has nothing to sample; add steps first.")
        shares = (np.arange(batch_size) + self.rng.random(batch_size)) / batch_size
        leaf = self.tree.find(shares * self.tree.total)
        env, row = np.divmod(leaf, self.rows)
        # The step with this row among the last ``rows`` steps.
        step = self.steps - 1 - (self.steps - 1 - row) % self.rows
        probability = self.tree[leaf] / self.tree.total
        weight = importance_weights(probability, len(self), self.beta)
        return self.batch(step * self.num_envs + env, weight)

    def update_priorities(self, index: NDArray[np.int64], priority: NDArray[np.float32]) -> None:
        """Set priorities from TD errors ``(B,)``; transitions that have left are skipped."""
        scaled = scaled_priority(priority, self.alpha)
        step, env = np.divmod(index, self.num_envs)
        there = step >= self.first[env]
        self.tree[self._leaf(step[there], env[there])] = scaled[there]
        self.max_priority[0] = max(self.max_priority[0], scaled.max(initial=0.0))

    def state_dict(self) -> dict[str, NDArray[Any]]:
        return super().state_dict() | {
            "priority": self.tree.values(),
            "max_priority": self.max_priority,
        }

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        super().load_state_dict(state)
        self.tree[np.arange(self.tree.size)] = np.asarray(state["priority"])
