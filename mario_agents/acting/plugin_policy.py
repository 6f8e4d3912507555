"""Adapters between stateful policies and :class:`mario_envkit.plugins.Policy`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mario_agents.core.algorithm import Algorithm, WorkerContext
from mario_agents.core.policy import Mode, Policy
from mario_agents.core.types import Learner, State
from mario_envkit import plugins


class PluginPolicy:
    """Implements :class:`mario_envkit.plugins.Policy`: keeps the state of a policy for its caller.

    Attributes:
        policy: the policy. Whoever can say where games begin anew, as
            :class:`~mario_agents.acting.actor.Actor` can, asks it directly.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.reset(0)

    def reset(self, num_envs: int) -> None:
        """Begin ``num_envs`` games with the policy's initial state."""
        self._state = self.policy.initial(num_envs)
        self._is_first = torch.ones(num_envs, dtype=torch.bool, device=self.policy.device)

    @torch.no_grad()
    def act(self, observations: NDArray[Any], *, greedy: bool) -> NDArray[np.int64]:
        """Choose the actions ``(N,)`` of ``N`` games; another ``N`` than before begins anew."""
        if len(observations) != len(self._is_first):
            self.reset(len(observations))
        obs = torch.from_numpy(np.array(observations)).to(self.policy.device)
        mode: Mode = "greedy" if greedy else "sample"
        action, _, self._state = self.policy.act(
            obs, self._state, self._is_first, mode=mode, step=0
        )
        self._is_first = torch.zeros_like(self._is_first)
        return np.asarray(action.cpu().numpy(), dtype=np.int64)


class _Foreign(Policy):
    """Somebody's :class:`mario_envkit.plugins.Policy`, which keeps its state to itself."""

    device = torch.device("cpu")

    def __init__(self, policy: plugins.Policy) -> None:
        self._policy = policy

    def initial(self, n: int) -> State:
        self._policy.reset(n)
        return ()

    def act(
        self, obs: Tensor, state: State, is_first: Tensor, *, mode: Mode, step: int
    ) -> tuple[Tensor, dict[str, Tensor], State]:
        action = self._policy.act(obs.numpy(), greedy=mode == "greedy")
        return torch.from_numpy(np.asarray(action, dtype=np.int64)), {}, ()


def policy_of(policy: plugins.Policy) -> Policy:
    """A plug-in's policy as the actor takes it."""
    return policy.policy if isinstance(policy, PluginPolicy) else _Foreign(policy)


def trained_policy(
    algorithm: Algorithm[Any, Any], config: Any, learner: Learner, device: torch.device
) -> PluginPolicy:
    """The agent with the weights of ``learner``, which is moved to ``device``."""
    learner.model.to(device)
    context = WorkerContext(0, 1, config.seed, 0, 0, device)
    return PluginPolicy(algorithm.policy(config, learner, context))
