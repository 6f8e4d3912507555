"""A trained network as a player."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mario_agents.algos.dqn.networks import epsilon_greedy


class DDQNPolicy:
    """Implements :class:`mario_envkit.plugins.Policy`: greedy, or epsilon-greedy when sampled."""

    def __init__(
        self, network: nn.Module, *, epsilon: float, seed: int, device: torch.device
    ) -> None:
        self._network = network.to(device)
        self._epsilon, self._device = epsilon, device
        self._rng = torch.Generator().manual_seed(seed)

    def reset(self, num_envs: int) -> None:
        """Nothing to do: the network remembers nothing between steps."""

    @torch.no_grad()
    def act(self, observations: NDArray[Any], *, greedy: bool) -> NDArray[np.int64]:
        """See :class:`mario_envkit.plugins.Policy`."""
        q = self._network(torch.from_numpy(np.array(observations)).to(self._device))
        action = epsilon_greedy(q, 0.0 if greedy else self._epsilon, self._rng)
        return np.asarray(action.cpu().numpy(), dtype=np.int64)
