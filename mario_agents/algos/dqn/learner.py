"""Double DQN as a :class:`mario_agents.core.types.Learner`."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from mario_agents.algos.dqn.loss import ddqn_loss, demonstration_loss
from mario_agents.algos.dqn.networks import DoubleDQN
from mario_agents.core.types import Batch, Learner


class DDQNLearner(Learner):
    """What a worker computes gradients with; owns no optimizer and no environment.

    The arguments are as in :class:`~mario_agents.algos.dqn.config.DDQNConfig`.
    """

    model: DoubleDQN
    capturable = True

    def __init__(
        self,
        model: DoubleDQN,
        *,
        tau: float,
        huber: float | None = None,
        demo_margin: float = 0.0,
        demo_coef: float = 0.0,
    ) -> None:
        self.model, self._tau, self._huber = model, tau, huber
        self._demo_margin, self._demo_coef = demo_margin, demo_coef

    def compute_loss(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The loss, and detached metrics; ``priority`` ``(B,)`` is the size of the errors.

        Batches that say what in them was ``demonstrated`` are learned from as by Hester et al.,
        "Deep Q-learning from Demonstrations" (AAAI 2018).
        """
        loss, q, error, values = ddqn_loss(self.model, batch, huber=self._huber)
        priority, measured = error.abs(), dict[str, Tensor]()
        if "demonstrated" in batch:
            shown = demonstration_loss(values, batch, margin=self._demo_margin)
            loss = loss + self._demo_coef * shown.loss
            measured = {"margin_loss": shown.margin, "demo_accuracy": shown.accuracy}
        return loss, {
            **measured,
            "loss": loss.detach(),
            "q_mean": q.mean(),
            "q_max": q.max(),
            "td_error": priority.mean(),
            "priority": priority,
        }

    def after_update(self) -> None:
        """Move the target network towards the online network."""
        self.model.update_target(self._tau)
