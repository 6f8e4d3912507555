"""What plays: actions drawn by their probabilities, or the likeliest."""

from __future__ import annotations

import torch
from torch import Tensor

from mario_agents.algos.ppo.learner import PPOLearner
from mario_agents.core.policy import Mode, SeededPolicy
from mario_agents.core.types import State
from mario_agents.nn.recurrent import state_columns
from mario_agents.ops.policy_gradient import action_log_prob, sample_categorical


class PPOPolicy(SeededPolicy):
    """Plays with a learner's network, in the precision that it learns in.

    Keeps ``log_prob`` of the actions and ``value`` of the observations, ``(N,)`` each, and what is
    remembered behind the step, by the names of :func:`~mario_agents.nn.recurrent.state_columns`.
    """

    def __init__(self, learner: PPOLearner, *, seed: int, device: torch.device) -> None:
        self.device, self._learner = device, learner
        super().__init__(seed)

    def initial(self, n: int) -> State:
        """Nothing is remembered."""
        return self._learner.model.core.initial(n)

    @torch.no_grad()
    def act(
        self, obs: Tensor, state: State, is_first: Tensor, *, mode: Mode, step: int
    ) -> tuple[Tensor, dict[str, Tensor], State]:
        """Actions, and their log-probabilities and values for the rollout."""
        logits, value, state = self._learner.evaluate(obs[None], state, is_first[None])
        logits = logits[0].cpu()
        if mode == "greedy":
            return logits.argmax(dim=1), {}, state
        action = sample_categorical(logits, self._rng)
        kept = {"log_prob": action_log_prob(logits, action), "value": value[0]}
        return action, {**kept, **state_columns(state)}, state
