"""Dreamer as a :class:`mario_agents.core.types.Learner`: one loss for everything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mario_agents.algos.dreamer.batch import packed, time_first
from mario_agents.algos.dreamer.behaviour import (
    ImaginationNoise,
    behaviour_loss,
    demonstration_loss,
    imagine,
    replay_critic_loss,
)
from mario_agents.algos.dreamer.config import DreamerConfig
from mario_agents.algos.dreamer.networks import DreamerModel
from mario_agents.algos.dreamer.world_loss import WorldLoss, world_loss
from mario_agents.core.types import Batch, Learner
from mario_agents.nn.device import arithmetic
from mario_agents.nn.rssm import Latent


class DreamerLearner(Learner):
    """What a worker computes gradients with; owns no optimizer and no environment.

    All its random numbers come from the seed of a batch: the same weights and the same batch have
    the same loss.
    """

    model: DreamerModel
    capturable = True

    def __init__(self, model: DreamerModel, config: DreamerConfig) -> None:
        self.model = model
        self._config = config

    def prepare(self, batch: Mapping[str, Any]) -> Mapping[str, Any]:
        """The batch with its random numbers, and without the states that nothing begins with.

        Those are ``noise`` ``(T, B, S)`` of the states along it, ``start`` ``(K,)``, the states
        ``t * B + b`` that futures are imagined from, and ``imagined_state`` ``(H, K, S)`` and
        ``imagined_action`` ``(H, K)``, see :class:`~.behaviour.ImaginationNoise`.
        """
        config, stoch = self._config, self.model.world.rssm.stoch
        count, length = batch["reward"].shape
        length -= 1  # the first observation is only what the others begin behind
        rng = torch.Generator().manual_seed(int(batch["seed"]))
        noise = torch.rand(length, count, stoch, generator=rng)
        start = torch.randperm(length * count, generator=rng)[: config.imagined]
        prepared = {
            **batch,
            "deter": batch["deter"][:, :1],
            "stoch": batch["stoch"][:, :1],
            "noise": noise,
            "start": start,
            "imagined_state": torch.rand(config.horizon, len(start), stoch, generator=rng),
            "imagined_action": torch.rand(config.horizon, len(start), generator=rng),
        }
        del prepared["seed"]
        return prepared

    def compute_loss(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The loss; detached metrics; and ``deter`` and ``stoch``, the states ``(B, T, ...)`` along
        the batch with the present weights, which take the place of those in the replay buffer."""
        config, model = self._config, self.model
        replayed = time_first(batch, model.world.rssm)
        device, start = replayed.reward.device, batch["start"]
        gamma = batch.get("gamma", config.gamma)
        with arithmetic(config.precision, device):
            world = world_loss(
                model,
                replayed,
                batch["noise"],
                gamma=gamma,
                free_nats=config.free_nats,
                dynamics=config.dynamics_coef,
                representation=config.representation_coef,
                redundancy=config.redundancy_coef,
                off_diagonal=config.off_diagonal_coef,
            )
        with arithmetic(config.precision, device):  # another one: no cast is kept without gradients
            imagined = imagine(
                model,
                Latent(*(part.detach().flatten(0, 1)[start] for part in world.latent)),
                ImaginationNoise(batch["imagined_state"], batch["imagined_action"]),
                uniform=config.uniform,
            )
        with arithmetic(config.precision, device):
            behaviour = behaviour_loss(
                model,
                imagined,
                lam=config.gae_lambda,
                entropy_coef=batch.get("entropy_coef", config.entropy_coef),
                uniform=config.uniform,
                slow_regularizer=config.slow_regularizer,
                range_rate=config.range_rate,
            )
            replay_loss, measured = replay_critic_loss(
                model,
                replayed,
                world.features,
                start,
                behaviour.returns,
                gamma=gamma,
                lam=config.gae_lambda,
                slow_regularizer=config.slow_regularizer,
            )
        loss = world.loss + behaviour.actor + behaviour.critic + config.replay_coef * replay_loss
        if "demonstrated" in batch:
            with arithmetic(config.precision, device):
                cloning, shown = demonstration_loss(
                    model, world.features, batch, uniform=config.uniform
                )
            loss, measured = loss + config.demo_actor_coef * cloning, {**measured, **shown}
        measured |= {**world.measured, **behaviour.measured, "loss": loss.detach()}
        return loss, {**measured, **self._refreshed(world)}

    def after_update(self) -> None:
        """Move the slow critic towards the critic."""
        self.model.update_slow_critic(self._config.tau)

    def statistics(self) -> Mapping[str, Tensor]:
        """The range of returns, which every batch moves."""
        return {"return_range": self.model.return_range}

    def _refreshed(self, world: WorldLoss) -> dict[str, Tensor]:
        """States by column ``(B, T, ...)``."""
        fresh = packed(Latent(*(part.detach() for part in world.latent)), self.model.world.rssm)
        return {name: states.transpose(0, 1) for name, states in fresh.items()}
