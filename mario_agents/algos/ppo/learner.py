"""PPO as a :class:`mario_agents.core.types.Learner`."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from mario_agents.algos.ppo.config import PPOConfig
from mario_agents.algos.ppo.loss import ppo_loss
from mario_agents.core.types import Batch, Learner
from mario_agents.nn.actor_critic import ActorCritic, PolicyValue
from mario_agents.nn.device import arithmetic
from mario_agents.nn.recurrent import CoreState
from mario_agents.ops.imitation import SelfImitationLoss, self_imitation_loss


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
        :func:`~mario_agents.ops.imitation.self_imitation_loss`.
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
        loss, measured = result.loss, result._asdict()
        if "demo_obs" in batch:
            shown = self._self_imitation(batch)
            loss = loss + config.sil_coef * shown.loss
            measured |= {"demo_better": shown.better, "demo_accuracy": shown.accuracy}
        return loss, {**measured, "loss": loss.detach()}

    def _self_imitation(self, batch: Batch) -> SelfImitationLoss:
        nothing = self.model.core.initial(batch["demo_obs"].shape[1])
        now = self.evaluate(batch["demo_obs"], nothing, batch["demo_is_first"])
        return self_imitation_loss(
            now.logits.flatten(0, 1),
            now.value.flatten(),
            batch["demo_action"].flatten(),
            batch["demo_value"].flatten(),
            value_coef=self._config.sil_value_coef,
        )
