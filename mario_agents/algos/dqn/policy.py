"""What plays: epsilon-greedy by action values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mario_agents.algos.dqn.networks import DoubleDQN
from mario_agents.core.policy import Mode, SeededPolicy
from mario_agents.core.types import State


class DQNPolicy(SeededPolicy):
    """Explores with the online network; greedy and sampled play is the target network's.

    That one is a moving average of the online one, which is another player after each few updates.

    Args:
        model: both networks.
        epsilon: probability of a random action when exploring, by the run's agent steps; one for
            all games or ``(N,)``.
        eval_epsilon: the same when sampling.
        seed: of the random actions.
        device: where the model is.
        keep_values: whether the values of the actions taken, and of the best ones, are kept with
            the steps (:data:`~mario_agents.replay.transitions.VALUE_COLUMNS`).
        shown: ``(N,)``, of which of ``N`` games returns and success are shown; None for all.
    """

    def __init__(
        self,
        model: DoubleDQN,
        *,
        epsilon: Callable[[int], float | Tensor],
        eval_epsilon: float,
        seed: int,
        device: torch.device,
        keep_values: bool = False,
        shown: NDArray[np.bool_] | None = None,
    ) -> None:
        self.device, self._keep_values, self._shown = device, keep_values, shown
        self._model, self._epsilon, self._eval_epsilon = model, epsilon, eval_epsilon
        super().__init__(seed)

    @torch.no_grad()
    def act(
        self, obs: Tensor, state: State, is_first: Tensor, *, mode: Mode, step: int
    ) -> tuple[Tensor, dict[str, Tensor], State]:
        """Actions, epsilon-greedy by action values."""
        if mode == "explore":
            q = self._model(obs)
            action = epsilon_greedy(q, self._epsilon(step), self._rng)
            if not self._keep_values:
                return action, {}, state
            taken = q.gather(1, action[:, None]).squeeze(1)
            return action, {"q_taken": taken, "q_best": q.amax(dim=1)}, state
        q = self._model(obs, network="target")
        if mode == "greedy":
            return q.argmax(dim=1), {}, state
        return epsilon_greedy(q, self._eval_epsilon, self._rng), {}, state

    def shown(self, n: int) -> NDArray[np.bool_]:
        """As it was said."""
        return super().shown(n) if self._shown is None else self._shown

    def gauges(self, step: int) -> dict[str, float]:
        """The mean epsilon."""
        epsilon = torch.as_tensor(self._epsilon(step), dtype=torch.float64)
        return {"epsilon": float(epsilon.mean())}


def epsilon_greedy(q: Tensor, epsilon: float | Tensor, rng: torch.Generator) -> Tensor:
    """The best action of each row of ``q`` ``(B, A)``, or with probability ``epsilon`` any.

    ``epsilon`` is one for all rows, or ``(B,)``; it and ``rng`` are on the CPU.
    """
    batch, actions = q.shape
    explore = torch.rand(batch, generator=rng) < epsilon
    anything = torch.randint(actions, (batch,), generator=rng)
    return torch.where(explore.to(q.device), anything.to(q.device), q.argmax(dim=1))
