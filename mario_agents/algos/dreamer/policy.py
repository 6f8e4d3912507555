"""What plays: an actor that sees the game through the world model."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mario_agents.algos.dreamer.batch import packed
from mario_agents.algos.dreamer.behaviour import action_probs
from mario_agents.algos.dreamer.networks import DreamerModel
from mario_agents.core.policy import Dream, Mode, SeededPolicy
from mario_agents.core.types import State
from mario_agents.nn.recurrence import recur
from mario_agents.nn.rssm import Latent
from mario_agents.ops.categorical import most_likely, sample_classes
from mario_agents.ops.two_hot import two_hot_mean


class Belief(NamedTuple):
    """What is known of ``N`` games after their last observation.

    Attributes:
        deter, stoch: the state, see :class:`~mario_agents.nn.rssm.Latent`.
        action: ``(N,)`` int64, what was done then.
    """

    deter: Tensor
    stoch: Tensor
    action: Tensor


class DreamerPolicy(SeededPolicy):
    """Keeps with each step the state behind its observation, from which replay goes on.

    Args:
        model: world model and actor.
        uniform: share of actions that are chosen without looking, but when greedy.
        seed: of the states, and of the actions that are drawn.
        device: where the model is.
    """

    def __init__(
        self, model: DreamerModel, *, uniform: float, seed: int, device: torch.device
    ) -> None:
        self.device = device
        self._model, self._uniform = model, uniform
        super().__init__(seed)

    def initial(self, n: int) -> State:
        """Nothing is known, nothing was done."""
        latent = self._model.world.rssm.initial(n)
        return Belief(*latent, torch.zeros(n, dtype=torch.int64, device=self.device))

    @torch.no_grad()
    def act(
        self, obs: Tensor, state: State, is_first: Tensor, *, mode: Mode, step: int
    ) -> tuple[Tensor, dict[str, Tensor], State]:
        """Actions, and ``deter`` and ``stoch`` for the replay buffer.

        Greedy play takes the likeliest action in a state that is drawn, as in training: the actor
        has seldom seen the likeliest state, and gets stuck in it.
        """
        world, count = self._model.world, len(obs)
        noise = self._uniform_numbers(1, count, world.rssm.stoch)
        tokens = world.senses.encoder(world.senses.inputs(obs))
        observed = world.rssm.observe(
            Latent(*state[:2]), state[2][None], is_first[None], tokens[None], noise
        )
        latent = Latent(*(part[0] for part in observed.latent))
        probs = action_probs(self._model, latent.features(), self._uniform)
        if mode == "greedy":
            action = probs.argmax(dim=-1)
        else:
            action = sample_classes(probs, self._uniform_numbers(count))
        kept = packed(latent, world.rssm) if mode == "explore" else {}
        return action, kept, Belief(*latent, action)

    @property
    def has_decoder(self) -> bool:
        """Whether there are pictures of what it expects."""
        return self._model.world.senses.decoder is not None

    @torch.no_grad()
    def dream(
        self, obs: NDArray[Any], action: NDArray[np.int64], state: State, *, is_first: bool
    ) -> tuple[Dream, State]:
        """Imagine the likeliest of what follows the first observation."""
        world = self._model.world
        rssm, senses = world.rssm, world.senses
        assert senses.decoder is not None
        chosen = torch.from_numpy(action).to(self.device)
        done = torch.cat([state[2], chosen[:-1]])[:, None]
        begins = torch.zeros_like(done, dtype=torch.bool)
        begins[0] = is_first
        tokens = senses.encoder(senses.inputs(torch.from_numpy(obs).to(self.device)))
        seen = rssm.observe(Latent(*state[:2]), done, begins, tokens[:, None], None).latent
        expected = self._expected(Latent(*(part[0] for part in seen)), chosen[:-1])
        dream = Dream(
            senses.observations(senses.decoder(seen.features()[:, 0])).cpu().numpy(),
            senses.observations(senses.decoder(expected)).cpu().numpy(),
            two_hot_mean(world.reward(expected), self._model.bins).cpu().numpy(),
        )
        return dream, Belief(seen.deter[-1], seen.stoch[-1], chosen[-1:])

    def _expected(self, latent: Latent, actions: Tensor) -> Tensor:
        """Features ``(T + 1, F)`` of a state of one game, and of the likeliest ones that ``T``
        actions lead to."""
        rssm = self._model.world.rssm
        weights, features = rssm.weights(torch.float32), [latent.features()]
        for effect in rssm.effects()[actions]:
            deter = recur(weights, *latent, effect[None]).deter
            latent = Latent(deter, most_likely(rssm.prior(deter)).flatten(1))
            features.append(latent.features())
        return torch.cat(features)

    def _uniform_numbers(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self._rng).to(self.device)
