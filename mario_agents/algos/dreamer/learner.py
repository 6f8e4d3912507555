"""Dreamer as a :class:`mario_agents.core.types.Learner`: one loss for everything."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mario_agents.algos.dreamer.batch import packed, time_first
from mario_agents.algos.dreamer.behaviour import (
    ImaginationNoise,
    behaviour_loss,
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

    def __init__(self, model: DreamerModel, config: DreamerConfig) -> None:
        self.model = model
        self._config = config

    def compute_loss(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The loss; detached metrics; and ``deter`` and ``stoch``, the states ``(B, T, ...)`` along
        the batch with the present weights, which take the place of those in the replay buffer."""
        config, model = self._config, self.model
        rssm = model.world.rssm
        replayed = time_first(batch, rssm)
        device, (length, count) = replayed.reward.device, replayed.reward.shape
        rng = torch.Generator().manual_seed(int(batch["seed"]))
        noise = torch.rand(length, count, rssm.stoch, generator=rng).to(device)
        with arithmetic(config.precision, device):
            world = world_loss(
                model,
                replayed,
                noise,
                gamma=config.gamma,
                free_nats=config.free_nats,
                dynamics=config.dynamics_coef,
                representation=config.representation_coef,
            )
        start = torch.randperm(length * count, generator=rng)[: config.imagined].to(device)
        with arithmetic(config.precision, device):  # another one: no cast is kept without gradients
            imagined = imagine(
                model,
                Latent(*(part.detach().flatten(0, 1)[start] for part in world.latent)),
                self._noise(len(start), rng, device),
                uniform=config.uniform,
            )
        with arithmetic(config.precision, device):
            behaviour = behaviour_loss(
                model,
                imagined,
                lam=config.gae_lambda,
                entropy_coef=config.entropy_coef,
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
                gamma=config.gamma,
                lam=config.gae_lambda,
                slow_regularizer=config.slow_regularizer,
            )
        loss = world.loss + behaviour.actor + behaviour.critic + config.replay_coef * replay_loss
        measured |= {**world.measured, **behaviour.measured, "loss": loss.detach()}
        return loss, {**measured, **self._refreshed(world)}

    def after_update(self) -> None:
        """Move the slow critic towards the critic."""
        self.model.update_slow_critic(self._config.tau)

    def statistics(self) -> Mapping[str, Tensor]:
        """The range of returns, which every batch moves."""
        return {"return_range": self.model.return_range}

    def _noise(self, count: int, rng: torch.Generator, device: torch.device) -> ImaginationNoise:
        steps, stoch = self._config.horizon, self.model.world.rssm.stoch
        by_state = torch.rand(steps, count, stoch, generator=rng).to(device)
        return ImaginationNoise(by_state, torch.rand(steps, count, generator=rng).to(device))

    def _refreshed(self, world: WorldLoss) -> dict[str, Tensor]:
        """States by column ``(B, T, ...)``."""
        fresh = packed(Latent(*(part.detach() for part in world.latent)), self.model.world.rssm)
        return {name: states.transpose(0, 1) for name, states in fresh.items()}
