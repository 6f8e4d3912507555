"""A trained network as a player."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mario_agents.algos.ppo.networks import ActorCritic
from mario_agents.ops.policy_gradient import sample_categorical


class PPOPolicy:
    """Implements :class:`mario_envkit.plugins.Policy`: the likeliest action, or a sampled one."""

    def __init__(self, network: ActorCritic, *, seed: int, device: torch.device) -> None:
        self._network = network.to(device)
        self._device = device
        self._rng = torch.Generator().manual_seed(seed)

    def reset(self, num_envs: int) -> None:
        """Nothing to do: the network remembers nothing between steps."""

    @torch.no_grad()
    def act(self, observations: NDArray[Any], *, greedy: bool) -> NDArray[np.int64]:
        """See :class:`mario_envkit.plugins.Policy`."""
        obs = torch.from_numpy(np.array(observations)).to(self._device)
        logits = self._network(obs).logits.cpu()
        action = logits.argmax(dim=1) if greedy else sample_categorical(logits, self._rng)
        return np.asarray(action.numpy(), dtype=np.int64)
