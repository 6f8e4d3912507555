"""IMPALA and A3C as a :class:`mario_agents.core.types.Learner`."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from mario_agents.algos.impala.config import ImpalaConfig
from mario_agents.algos.impala.loss import impala_loss
from mario_agents.algos.impala.networks import PolicyValue, RecurrentActorCritic
from mario_agents.algos.impala.unrolled import unrolled
from mario_agents.core.types import Batch, Learner
from mario_agents.nn.device import arithmetic
from mario_agents.nn.recurrent import CoreState


class ImpalaLearner(Learner):
    """What gradients are computed with; owns no optimizer and no environment."""

    model: RecurrentActorCritic

    def __init__(self, model: RecurrentActorCritic, config: ImpalaConfig) -> None:
        self.model, self.config = model, config

    def evaluate(
        self, obs: Tensor, state: CoreState, is_first: Tensor, noise: Tensor | None
    ) -> PolicyValue:
        """The network's output for one step ``(1, B)`` of games, in the chosen precision."""
        with arithmetic(self.config.precision, obs.device):
            features = self.model.encode(obs)[None]
            policy_value: PolicyValue = self.model(features, state, is_first[None], noise)
        return policy_value

    def compute_loss(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The loss, and detached metrics; see :func:`~mario_agents.algos.impala.loss.impala_loss`.

        ``priority`` ``(B,)`` is the mean size of the errors of an unroll's values.
        """
        with arithmetic(self.config.precision, batch["obs"].device):
            now = unrolled(self.model, batch)
        result = impala_loss(now, batch, self.config)
        return result.loss, {**result._asdict(), "loss": result.loss.detach()}
