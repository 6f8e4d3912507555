"""What plays: actions drawn by their probabilities, or the likeliest."""

from __future__ import annotations

import torch
from torch import Tensor

from mario_agents.algos.impala.learner import ImpalaLearner
from mario_agents.core.policy import Mode, SeededPolicy
from mario_agents.core.types import State
from mario_agents.nn.noisy import draw_noise
from mario_agents.nn.recurrent import state_columns
from mario_agents.ops.policy_gradient import sample_categorical


class ImpalaPolicy(SeededPolicy):
    """Plays with a learner's network, in the precision that it learns in.

    Its state is what the core remembers (``core``) and, with noise in the weights, that of each
    game (``noise``) and the steps since the game's first one (``age``): every ``rollout_steps``
    steps noise is drawn anew, as another unroll begins. Only exploration is noisy.

    Keeps the ``logits`` of the actions ``(N, actions)``, the state before the step by the names of
    the core's with :data:`~mario_agents.nn.recurrent.CORE` before them, and ``noise``.
    """

    def __init__(self, learner: ImpalaLearner, *, seed: int, device: torch.device) -> None:
        self.device, self._learner = device, learner
        super().__init__(seed)

    def initial(self, n: int) -> State:
        """Nothing is remembered, and no noise drawn yet."""
        model = self._learner.model
        state: dict[str, State] = {"core": model.core.initial(n)}
        if model.noise_size:
            state["noise"] = torch.zeros(n, model.noise_size, device=self.device)
            state["age"] = torch.zeros(n, dtype=torch.int64)
        return state

    @torch.no_grad()
    def act(
        self, obs: Tensor, state: State, is_first: Tensor, *, mode: Mode, step: int
    ) -> tuple[Tensor, dict[str, Tensor], State]:
        """Actions, and what the learner needs to judge them."""
        noise = None
        if mode == "explore" and "noise" in state:
            state = self._disturbed(state)
            noise = state["noise"]
        logits, _, core = self._learner.evaluate(obs, state["core"], is_first, noise)
        logits, following = logits[0].cpu(), {**state, "core": core}
        if mode == "greedy":
            return logits.argmax(dim=1), {}, following
        action = sample_categorical(logits, self._rng)
        kept = state_columns(state["core"])
        if noise is not None:
            kept["noise"] = noise
        return action, {**kept, "logits": logits}, following

    def _disturbed(self, state: State) -> State:
        """With new noise where an unroll begins, and a step older."""
        noise, age = state["noise"], state["age"]
        begins = (age % self._learner.config.rollout_steps == 0)[:, None]
        if begins.any():
            drawn = draw_noise(len(noise), noise.shape[1], self._rng)
            noise = torch.where(begins.to(noise.device), drawn.to(noise.device), noise)
        return {**state, "noise": noise, "age": age + 1}
