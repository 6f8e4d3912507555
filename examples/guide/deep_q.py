"""Deep Q-learning on level 1-1: the loop that the experiments of chapters 9 to 11 share."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import common
import numpy as np
import torch
from torch import Tensor, nn

from mario_agents.acting.actor import Actor
from mario_agents.algos.dqn.networks import DoubleDQN
from mario_agents.algos.dqn.policy import DQNPolicy
from mario_agents.nn.dueling import DuelingHead
from mario_agents.nn.flat import TileEncoder
from mario_agents.nn.init import orthogonal, seeded
from mario_agents.ops.gae import gae
from mario_agents.ops.schedules import apex_epsilon, linear_schedule
from mario_agents.ops.td import double_q_target, weighted_td_loss
from mario_agents.replay.selectors import PrioritizedSelector, Selector, UniformSelector
from mario_agents.replay.storage import Storage
from mario_agents.replay.transitions import TransitionReplay
from mario_envkit.game import tiles

GAMES, WIDTH, BATCH, EVERY = 16, 64, 64, 8
"""Games at once; units of a layer; transitions of a batch; steps of play for each batch."""
LEVEL = {"actions": "right_only", "stall_limit": 60}
ACTIONS = 5


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the chapters switch on and off."""

    buffer: int = 50_000  # steps that are remembered
    tau: float = 0.01  # share by which the target network follows; 1: there is none
    gamma: float = 0.9
    double: bool = False
    dueling: bool = False
    n_step: int = 1
    alpha: float = 0.0  # of prioritized replay; 0: all steps are alike
    apex: bool = False  # whether each game explores by a share of its own, always
    lr: float = 1e-3


class Evaluation(NamedTuple):
    """How it is after so many steps.

    Attributes:
        steps: played so far.
        x: how far greedy play gets, in pixels.
        promised, earned: what the values say along the way, and what came of it: means of
            discounted sums of rewards.
        deaths: share of deaths among the transitions that were drawn since the last time.
    """

    steps: int
    x: float
    promised: float
    earned: float
    deaths: float = 0.0


def network(settings: Settings) -> nn.Module:
    """Tile pictures ``(B, 16, 16)`` to values ``(B, ACTIONS)``."""
    head: nn.Module = orthogonal(nn.Linear(WIDTH, ACTIONS), gain=0.01)
    if settings.dueling:
        head = DuelingHead(WIDTH, WIDTH, ACTIONS, q_scale=50.0)
    return nn.Sequential(TileEncoder(tiles.SHAPE, WIDTH), head)


def target(model: DoubleDQN, batch: dict[str, Tensor], *, double: bool) -> Tensor:
    """What the values of the actions that were taken should be."""
    with torch.no_grad():
        valued = model(batch["next_obs"], network="target")
        chooser = model(batch["next_obs"]) if double else valued
    return double_q_target(chooser, valued, batch["reward"], batch["discount"])


def replay_of(settings: Settings, seed: int, steps: int) -> TransitionReplay:
    """What was played, and what of it is drawn."""
    storage = Storage(settings.buffer, GAMES, tiles.SHAPE, stacked=False)
    rng = np.random.default_rng(seed)
    selector: Selector = UniformSelector(storage, rng)
    if settings.alpha:
        beta = linear_schedule(0.4, 1.0, steps)
        selector = PrioritizedSelector(storage, rng, alpha=settings.alpha, beta=beta)
    return TransitionReplay(
        storage, selector, n_step=settings.n_step, gamma=settings.gamma, batch_size=BATCH,
        learning_starts=min(1_000, settings.buffer // 2), train_every=EVERY, save=False,
    )  # fmt: skip


def learn(
    seed: int, settings: Settings, steps: int, evaluate_every: int = 2_048
) -> list[Evaluation]:
    """Play and learn for so many steps."""
    with seeded(seed):
        model = DoubleDQN(network(settings))
    optimizer = common.adam(model.online, settings.lr)
    games, test = (common.Games(n, seed, **LEVEL) for n in (GAMES, 8))
    actor = Actor(games.envs, explorer(model, settings, seed, steps), seed=seed)
    replay, played, found, deaths = replay_of(settings, seed, steps), 0, [], []
    while played < steps:
        played += actor.collect(4 * GAMES, played, lambda step: replay.add(step, 0)).steps
        for arrays in replay.batches(played):
            batch = {name: torch.from_numpy(array) for name, array in arrays.items()}
            q = model(batch["obs"]).gather(1, batch["action"][:, None]).squeeze(1)
            wanted = target(model, batch, double=settings.double)
            common.descend(optimizer, weighted_td_loss(q, wanted, batch["weight"], huber=None))
            model.update_target(settings.tau)
            replay.feedback(arrays, {"priority": (wanted - q).detach().abs()})
            deaths.append((arrays["discount"] == 0).mean())
        if played % evaluate_every == 0:
            now = evaluate(greedy(model), test, played, settings.gamma)
            found.append(now._replace(deaths=float(np.mean(deaths))))
            deaths.clear()
    for each in (games, test):
        each.envs.close()
    return found


def explorer(model: DoubleDQN, settings: Settings, seed: int, steps: int) -> DQNPolicy:
    """Plays at random with a probability that falls, or by games (Ape-X)."""
    falling = linear_schedule(1.0, 0.05, steps // 2)
    fixed = torch.tensor([apex_epsilon(i, GAMES) for i in range(GAMES)])
    epsilon = (lambda step: fixed) if settings.apex else falling
    cpu = torch.device("cpu")
    return DQNPolicy(model, epsilon=epsilon, eval_epsilon=0.0, seed=seed, device=cpu)


def greedy(model: DoubleDQN) -> common.Act:
    """The best actions, and (in the place of log-probabilities) their values."""

    @torch.no_grad()
    def act(obs: Tensor) -> tuple[Tensor, Tensor]:
        best = model(obs, network="target").max(1)
        return best.indices, best.values

    return act


def evaluate(act: common.Act, games: common.Games, played: int, gamma: float) -> Evaluation:
    """Play one episode of each game without exploring."""
    seen = games.play_episodes(act, 250)
    nothing = np.zeros((len(seen.reward) + 1, seen.reward.shape[1]))
    end = seen.terminated | seen.truncated
    earned = gae(seen.reward, nothing, nothing[1:], end, end & False, gamma, 1.0)
    x = float((seen.x * seen.first).max(0).mean())
    return Evaluation(played, x, seen.log_prob[seen.first].mean(), earned[seen.first].mean())


Runs = dict[str, list[list[Evaluation]]]


def learn_all(settings: dict[str, Settings], seeds: list[int], steps: int) -> Runs:
    """Each of the settings with every seed; prints what each was like in the end."""
    found: Runs = {}
    given = {name: (setting, steps) for name, setting in settings.items()}
    for name, runs in common.repeat(learn, seeds, given):
        found[name] = runs
        for seed, run in zip(seeds, runs, strict=True):
            _, x, promised, earned, _ = np.mean(run[-3:], axis=0)
            print(f"{name}, seed {seed}: x {x:.0f}, promised {promised:.1f}, earned {earned:.1f}")
    return found
