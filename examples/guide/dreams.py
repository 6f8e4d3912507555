"""A small world model of level 1-1 and what it learns from: shared by chapters 12 and 13."""

from __future__ import annotations

import common
import numpy as np
import torch
from torch import Tensor

from mario_agents.acting.actor import Actor
from mario_agents.algos.dreamer.batch import Sequences
from mario_agents.algos.dreamer.behaviour import ImaginationNoise
from mario_agents.algos.dreamer.config import DreamerConfig
from mario_agents.algos.dreamer.networks import DreamerModel, WorldModel, build_senses
from mario_agents.algos.dreamer.policy import DreamerPolicy
from mario_agents.algos.dreamer.sizes import Size
from mario_agents.algos.dreamer.world_loss import world_loss
from mario_agents.core.algorithm import Spaces
from mario_agents.core.policy import Mode, Policy, SeededPolicy
from mario_agents.core.types import State
from mario_agents.nn.init import seeded
from mario_agents.nn.recurrence import recur
from mario_agents.nn.rssm import RSSM, Latent
from mario_agents.ops.categorical import most_likely
from mario_agents.replay.selectors import draw_starts
from mario_agents.replay.storage import Storage
from mario_agents.replay.windows import sequences
from mario_envkit.game import tiles

GAMES, GAMMA, ACTIONS = 16, 0.95, 5
LEVEL = {"actions": "right_only", "stall_limit": 60}
SMALL = Size(128, 16, 8, 128, 128, 8, sense_layers=1, prior_layers=1, behaviour_layers=1)


class Restless(SeededPolicy):
    """Runs or walks to the right, jumps, holds what it does for about four steps, and never looks
    at anything."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.device = torch.device("cpu")

    def initial(self, n: int) -> State:
        return torch.ones(n, dtype=torch.int64)

    def act(
        self, obs: Tensor, state: State, is_first: Tensor, *, mode: Mode, step: int
    ) -> tuple[Tensor, dict[str, Tensor], State]:
        change = torch.rand(len(obs), generator=self._rng) < 0.25
        action = torch.randint(1, ACTIONS, (len(obs),), generator=self._rng)
        action = torch.where(change, action, state)
        return action, {}, action


def record(steps: int, seed: int) -> Storage:
    """So many steps of play by somebody who does not look."""
    storage = Storage(steps + GAMES, GAMES, tiles.SHAPE, stacked=False)
    games = common.Games(GAMES, seed, **LEVEL)
    Actor(games.envs, Restless(seed), seed=seed).collect(
        steps, sink=lambda step: storage.add(step, 0)
    )
    games.envs.close()
    return storage


def small_model(seed: int) -> DreamerModel:
    """World model, actor and critic with fresh weights."""
    with seeded(seed):
        senses = build_senses(DreamerConfig(), tiles.SHAPE, SMALL)
        rssm = RSSM(
            ACTIONS, senses.tokens, deter=SMALL.deter, hidden=SMALL.hidden, stoch=SMALL.stoch,
            classes=SMALL.classes, blocks=SMALL.blocks, prior_layers=SMALL.prior_layers,
        )  # fmt: skip
        return DreamerModel(WorldModel(senses, rssm, SMALL), Spaces(tiles.SHAPE, ACTIONS), SMALL)


def draw(
    storage: Storage, rng: np.random.Generator, model: DreamerModel, count: int, length: int
) -> Sequences:
    """``count`` sequences of ``length`` observations; nothing is known before the first one."""
    start = draw_starts(storage, rng, count, length=length + 2)
    rows = sequences(storage, start + storage.games, length + 1)
    along = {name: torch.from_numpy(array).transpose(0, 1) for name, array in rows.items()}
    first = along["is_first"][1:].clone()
    first[0] = True
    return Sequences(
        model.world.rssm.initial(count), along["obs"][1:], along["action"][:-1],
        along["reward"][1:], first, along["is_last"][1:], along["is_terminal"][1:],
    )  # fmt: skip


@torch.no_grad()
def posterior_latents(model: DreamerModel, replayed: Sequences) -> Latent:
    """The states ``(T, B, ...)`` along sequences."""
    world, shape = model.world, replayed.action.shape
    tokens = world.senses.encoder(world.senses.inputs(replayed.obs.flatten(0, 1)))
    return world.rssm.observe(
        replayed.before, replayed.action, replayed.is_first, tokens.unflatten(0, shape), None
    ).latent


@torch.no_grad()
def expected(rssm: RSSM, latent: Latent, action: Tensor) -> Tensor:
    """Features ``(T, B, F)`` of the likeliest states that ``action`` ``(T, B)`` leads to."""
    weights, features = rssm.weights(torch.float32), []
    for effect in rssm.effects()[action]:
        deter = recur(weights, *latent, effect).deter
        latent = Latent(deter, most_likely(rssm.prior(deter)).flatten(1))
        features.append(latent.features())
    return torch.stack(features)


def imagination_noise(
    model: DreamerModel, horizon: int, futures: int, chance: torch.Generator
) -> ImaginationNoise:
    """The random numbers of so many imagined futures."""
    shape = (horizon, futures)
    return ImaginationNoise(
        torch.rand(*shape, model.world.rssm.stoch, generator=chance),
        torch.rand(shape, generator=chance),
    )


def learn_world(model: DreamerModel, storage: Storage, updates: int, seed: int) -> None:
    """Bring the world model closer to what was recorded."""
    optimizer, rng = common.adam(model.world, 2e-3), np.random.default_rng(seed)
    noise, shown = torch.Generator().manual_seed(seed), ("recon_loss", "kl_dynamics")
    for update in range(1, updates + 1):
        replayed = draw(storage, rng, model, 16, 16)
        drawn = torch.rand(16, 16, SMALL.stoch, generator=noise)
        found = world_loss(
            model, replayed, drawn, gamma=GAMMA, free_nats=1.0, dynamics=1.0, representation=0.1,
            redundancy=0.0, off_diagonal=0.0,
        )  # fmt: skip
        common.descend(optimizer, found.loss)
        if update % 100 == 0:
            said = {name: round(found.measured[name].item(), 2) for name in shown}
            print(f"seed {seed}, update {update} of the world model: {said}", flush=True)


@torch.no_grad()
def pictures(model: DreamerModel, numbers: Tensor) -> common.Array:
    """How solid and how dangerous tiles are, ``(..., 2, 13, 16)``, of the encoder's inputs."""
    planes = model.world.senses.inputs.planes(numbers.flatten(0, -2))
    return planes.view(*numbers.shape[:-1], *planes.shape[1:]).numpy()


def coloured(picture: common.Array) -> common.Array:
    """``(13, 16, 3)`` in colours: grey is solid, red is dangerous, blue is Mario."""
    solid, danger = np.clip(picture, 0, 1)
    mario = 1.0 * (picture[0] < -0.25)
    dark = 0.6 * solid + np.stack([mario, 0.6 * mario + danger, danger], axis=0)
    return np.moveaxis(np.clip(1 - dark, 0, 1), 0, -1)


def distance(policy: Policy, seed: int) -> float:
    """How far Mario gets in the first episode of each of 16 games, in pixels; a mean."""
    games = common.Games(GAMES, seed + 1_000, **LEVEL)
    played = Actor(games.envs, policy, seed=seed + 1_000, mode="sample").collect(4_800)
    games.envs.close()
    return float(np.mean([*{each.env: each.best_x for each in played.episodes[::-1]}.values()]))


def player(model: DreamerModel, seed: int) -> DreamerPolicy:
    """The actor, which sees the game through the world model."""
    return DreamerPolicy(model, uniform=0.0, seed=seed, device=torch.device("cpu"))
