"""Double DQN as a :class:`mario_agents.core.types.Learner`."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from mario_agents.algos.dqn.loss import ddqn_loss
from mario_agents.algos.dqn.networks import DoubleDQN
from mario_agents.core.types import Batch, Learner


class DDQNLearner(Learner):
    """What a worker computes gradients with; owns no optimizer and no environment.

    ``tau`` and ``huber`` as in :class:`~mario_agents.algos.dqn.config.DDQNConfig`.
    """

    model: DoubleDQN
    capturable = True

    def __init__(self, model: DoubleDQN, *, tau: float, huber: float | None = None) -> None:
        self.model, self._tau, self._huber = model, tau, huber

    def compute_loss(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The loss, and detached metrics; ``priority`` ``(B,)`` is the size of the errors."""
        loss, q, error = ddqn_loss(self.model, batch, huber=self._huber)
        priority = error.abs()
        return loss, {
            "loss": loss.detach(),
            "q_mean": q.mean(),
            "q_max": q.max(),
            "td_error": priority.mean(),
            "priority": priority,
        }

    def after_update(self) -> None:
        """Move the target network towards the online network."""
        self.model.update_target(self._tau)
