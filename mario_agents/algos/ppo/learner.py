"""PPO as a :class:`mario_agents.core.types.Learner`."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from mario_agents.algos.ppo.config import PPOConfig
from mario_agents.algos.ppo.loss import ppo_loss
from mario_agents.core.types import Batch, Learner
from mario_agents.imitation.self_imitation import with_self_imitation
from mario_agents.nn.actor_critic import ActorCritic, PolicyValue
from mario_agents.nn.device import arithmetic
from mario_agents.nn.recurrent import CoreState


class PPOLearner(Learner):
    """What a worker computes gradients with; owns no optimizer and no environment."""

    model: ActorCritic

    def __init__(self, model: ActorCritic, config: PPOConfig) -> None:
        self.model = model
        self.capturable = not config.compile
        self._config = config

    def evaluate(self, obs: Tensor, state: CoreState, is_first: Tensor) -> PolicyValue:
        """The network's output for ``T`` steps of ``B`` games, whose uint8 observations ``(T, B,
        ...)`` are on its device, in the chosen precision."""
        with arithmetic(self._config.precision, obs.device):
            return self.model.unroll(obs, state, is_first)

    def compute_loss(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The loss, and detached metrics; see :func:`~mario_agents.algos.ppo.loss.ppo_loss`.

        What was demonstrated beside the batch is learned from by
        :func:`~mario_agents.imitation.self_imitation.with_self_imitation`.
        """
        config = self._config
        result = ppo_loss(
            self.evaluate(batch["obs"], self.model.core.state_of(batch), batch["is_first"]),
            batch,
            clip=config.clip,
            value_coef=config.value_coef,
            value_clip=config.value_clip,
            value_huber=config.value_huber,
            normalize=config.normalize_advantage == "minibatch",
        )
        return with_self_imitation(result.loss, result._asdict(), batch, self.policy_value, config)

    def policy_value(self, obs: Tensor, is_first: Tensor) -> tuple[Tensor, Tensor]:
        """See :meth:`~mario_agents.core.algorithm.Algorithm.policy_value`."""
        found = self.evaluate(obs, self.model.core.initial(obs.shape[1]), is_first)
        return found.logits, found.value
