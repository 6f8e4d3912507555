"""What plays: epsilon-greedy by action values."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from mario_agents.algos.dqn.networks import DoubleDQN
from mario_agents.core.policy import Mode, Policy
from mario_agents.core.types import State


class DQNPolicy(Policy):
    """Explores with the online network; greedy and sampled play is the target network's.

    That one is a moving average of the online one, which is another player after each few updates.

    Args:
        model: both networks.
        epsilon: probability of a random action when exploring, by the run's agent steps; one for
            all games or ``(N,)``.
        eval_epsilon: the same when sampling.
        seed: of the random actions.
        device: where the model is.
    """

    def __init__(
        self,
        model: DoubleDQN,
        *,
        epsilon: Callable[[int], float | Tensor],
        eval_epsilon: float,
        seed: int,
        device: torch.device,
    ) -> None:
        self.device = device
        self._model, self._epsilon, self._eval_epsilon = model, epsilon, eval_epsilon
        self._rng = torch.Generator().manual_seed(seed)

    @torch.no_grad()
    def act(
        self, obs: Tensor, state: State, is_first: Tensor, *, mode: Mode, step: int
    ) -> tuple[Tensor, dict[str, Tensor], State]:
        """Actions, epsilon-greedy by action values; nothing is kept of the choice."""
        if mode == "explore":
            return epsilon_greedy(self._model(obs), self._epsilon(step), self._rng), {}, state
        q = self._model(obs, network="target")
        if mode == "greedy":
            return q.argmax(dim=1), {}, state
        return epsilon_greedy(q, self._eval_epsilon, self._rng), {}, state

    def gauges(self, step: int) -> dict[str, float]:
        """The mean epsilon."""
        epsilon = torch.as_tensor(self._epsilon(step), dtype=torch.float64)
        return {"epsilon": float(epsilon.mean())}

    def tensors(self) -> dict[str, Tensor]:
        """The state of the random numbers."""
        return {"rng": self._rng.get_state()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over :meth:`tensors`."""
        self._rng.set_state(tensors["rng"])


def epsilon_greedy(q: Tensor, epsilon: float | Tensor, rng: torch.Generator) -> Tensor:
    """The best action of each row of ``q`` ``(B, A)``, or with probability ``epsilon`` any.

    ``epsilon`` is one for all rows, or ``(B,)``; it and ``rng`` are on the CPU.
    """
    batch, actions = q.shape
    explore = torch.rand(batch, generator=rng) < epsilon
    anything = torch.randint(actions, (batch,), generator=rng)
    return torch.where(explore.to(q.device), anything.to(q.device), q.argmax(dim=1))
