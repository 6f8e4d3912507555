"""IMPALA and A3C as a :class:`mario_agents.core.types.Learner`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mario_agents.algos.impala.config import ImpalaConfig
from mario_agents.algos.impala.loss import impala_loss
from mario_agents.algos.impala.unrolled import Unrolled, spliced, unrolled
from mario_agents.core.types import Batch, Learner
from mario_agents.imitation.self_imitation import with_self_imitation
from mario_agents.nn.actor_critic import ActorCritic, PolicyValue
from mario_agents.nn.device import arithmetic, rounds
from mario_agents.nn.recurrent import CoreState
from mario_agents.ops.policy_gradient import action_log_prob


class ImpalaLearner(Learner):
    """What gradients are computed with; owns no optimizer and no environment."""

    model: ActorCritic

    def __init__(self, model: ActorCritic, config: ImpalaConfig) -> None:
        self.model, self.config = model, config
        self.capturable = not config.compile

    def evaluate(
        self, obs: Tensor, state: CoreState, is_first: Tensor, noise: Tensor | None
    ) -> PolicyValue:
        """The network's output for one step ``(1, B)`` of games, in the chosen precision."""
        with arithmetic(self.config.precision, obs.device):
            return self.model.unroll(obs[None], state, is_first[None], noise)

    def prepare(self, batch: Mapping[str, Any]) -> Mapping[str, Any]:
        """The batch with the places of the last observations of truncated episodes, of which there
        are more or fewer in each: see :func:`~mario_agents.algos.impala.unrolled.spliced`."""
        on_cpu = next(self.model.parameters()).device.type == "cpu"
        return spliced(batch, rounded=not on_cpu)

    def compute_loss(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The loss, and detached metrics; see :func:`~mario_agents.algos.impala.loss.impala_loss`.
        What was demonstrated beside the batch is learned from by
        :func:`~mario_agents.imitation.self_imitation.with_self_imitation`.

        ``priority`` ``(B,)`` is the mean size of the errors of an unroll's values.
        """
        with arithmetic(self.config.precision, batch["obs"].device):
            now = unrolled(self.model, batch)
        result = impala_loss(now, batch, self.config)
        measured = {**result._asdict(), "rounding": self._rounding(now, batch)}
        return with_self_imitation(result.loss, measured, batch, self.policy_value, self.config)

    def policy_value(self, obs: Tensor, is_first: Tensor) -> tuple[Tensor, Tensor]:
        """See :meth:`~mario_agents.core.algorithm.Algorithm.policy_value`; without noise."""
        with arithmetic(self.config.precision, obs.device):
            found = self.model.unroll(obs, self.model.core.initial(obs.shape[1]), is_first)
        return found.logits, found.value

    @torch.no_grad()
    def _rounding(self, now: Unrolled, batch: Batch) -> Tensor:
        """By how much bfloat16 changes the log-probabilities of the actions of a batch's first
        unroll: so far from 1 are ratios with the probabilities of an actor that computes in
        float32, before the policy has changed at all."""
        device = batch["obs"].device
        if not rounds(self.config.precision, device):
            return torch.zeros((), device=device)
        state = {name: part[:1] for name, part in self.model.core.state_of(batch).items()}
        noise = batch["noise"][:1] if "noise" in batch else None
        with arithmetic("float32", device):
            exact = self.model.unroll(batch["obs"][:-1, :1], state, batch["is_first"][:, :1], noise)
        action = batch["action"][:, 0]
        ours = action_log_prob(now.logits[:, 0], action)
        return (ours - action_log_prob(exact.logits[:, 0], action)).abs().mean()
