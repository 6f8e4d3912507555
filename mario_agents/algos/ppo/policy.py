"""What plays: actions drawn by their probabilities, or the likeliest."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mario_agents.algos.ppo.learner import PPOLearner
from mario_agents.core.policy import Mode, Policy
from mario_agents.core.types import State
from mario_agents.ops.policy_gradient import action_log_prob, sample_categorical


class PPOPolicy(Policy):
    """Plays with a learner's network, in the precision that it learns in.

    Keeps ``log_prob`` of the actions and ``value`` of the observations, ``(N,)`` each.
    """

    def __init__(self, learner: PPOLearner, *, seed: int, device: torch.device) -> None:
        self.device, self._learner = device, learner
        self._rng = torch.Generator().manual_seed(seed)

    @torch.no_grad()
    def act(
        self, obs: Tensor, state: State, is_first: Tensor, *, mode: Mode, step: int
    ) -> tuple[Tensor, dict[str, Tensor], State]:
        """Actions, and their log-probabilities and values for the rollout."""
        logits, value = self._learner.evaluate(obs)
        logits = logits.cpu()
        if mode == "greedy":
            return logits.argmax(dim=1), {}, state
        action = sample_categorical(logits, self._rng)
        return action, {"log_prob": action_log_prob(logits, action), "value": value}, state

    def tensors(self) -> dict[str, Tensor]:
        """The state of the random numbers."""
        return {"rng": self._rng.get_state()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over :meth:`tensors`."""
        self._rng.set_state(tensors["rng"])
