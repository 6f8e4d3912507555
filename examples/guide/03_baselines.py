"""REINFORCE with and without a baseline, on the first 100 steps of level 1-1.

Left: how far Mario gets while he learns. Right: how well two estimates of the gradient agree (the
cosine of the angle between them, 16 episodes each), for the untrained policy and four signals.
"""

from __future__ import annotations

from importlib import import_module

import common
import numpy as np
import torch
from torch import nn

from mario_agents.ops.policy_gradient import value_loss

chapter_2 = import_module("02_reinforce")
GAMES, STEPS = 8, chapter_2.STEPS  # few games: what a baseline is needed for is noise


def advantages(value: nn.Module, rollout: common.Rollout) -> common.Array:
    """By how much each return was better than expected, ``(T, N)``."""
    return chapter_2.returns_to_go(rollout) - common.values_of(value, rollout.obs[:-1])


def fit(
    value: nn.Module, optimizer: torch.optim.Optimizer, rollout: common.Rollout, times: int
) -> None:
    """Bring the values closer to the returns."""
    obs = torch.from_numpy(rollout.obs[:-1][rollout.first])
    target = torch.from_numpy(chapter_2.returns_to_go(rollout)[rollout.first]).float()
    for _ in range(times):
        common.descend(optimizer, value_loss(value(obs).squeeze(1), target))


def train(seed: int, updates: int, baseline: bool) -> list[float]:
    """The mean distance in the episodes of each update."""
    policy = common.tile_network(common.ACTIONS, seed)
    value = common.tile_network(1, seed + 1000)
    policy_optimizer, value_optimizer = common.adam(policy), common.adam(value)
    act, games = common.sampler(policy, seed), common.Games(GAMES, seed, STEPS)
    distances = []
    for _ in range(updates):
        rollout = games.play_episodes(act, STEPS)
        distances.append(rollout.distances(first=True).mean())
        signal = advantages(value, rollout) if baseline else chapter_2.returns_to_go(rollout)
        common.descend(policy_optimizer, chapter_2.reinforce_loss(policy, rollout, signal))
        if baseline:
            fit(value, value_optimizer, rollout, times=10)
    return distances


def signals(value: nn.Module, rollout: common.Rollout) -> dict[str, common.Array]:
    """What log-probabilities can be multiplied by: the expected gradient is the same with each."""
    returns = chapter_2.returns_to_go(rollout)
    earlier = np.cumsum(rollout.reward, axis=0) - rollout.reward  # before the action
    return {
        "all rewards": returns + earlier,
        "return": returns,
        "less its mean": returns - returns[rollout.first].mean(),
        "less the value": advantages(value, rollout),
    }


def agreements(seed: int, count: int, size: int) -> dict[str, float]:
    """The cosine of two gradients from ``size`` of so many episodes each, for each signal."""
    policy, value = common.tile_network(common.ACTIONS, seed), common.tile_network(1, seed)
    act = common.sampler(policy, seed)
    played = [common.Games(n, seed + n, STEPS).play_episodes(act, STEPS) for n in (64, count)]
    fit(value, common.adam(value), played[0], times=100)
    return {
        name: chapter_2.agreement(chapter_2.gradients(policy, played[1], signal), size)
        for name, signal in signals(value, played[1]).items()
    }


def main() -> None:
    chosen, (made, (left, right)) = common.options(__doc__), common.figure(2)
    updates, count, size = (2, 4, 2) if chosen.quick else (80, 256, 16)
    settings = {"without baseline": (updates, False), "with baseline": (updates, True)}
    for name, runs in common.repeat(train, chosen.seeds, settings):
        print(f"{name:16}: {[round(np.mean(run[-20:])) for run in runs]} at the end")
        smooth = [common.smooth(run, 10) for run in runs]
        common.band(left, GAMES * STEPS * np.arange(updates), smooth, name)
    left.set(xlabel="steps played", ylabel="distance in 100 steps, pixels")
    found = [agreements(seed, count, size) for seed in chosen.seeds]
    for name in found[0]:
        cosines = [each[name] for each in found]
        print(f"{name:14}: cosine {np.mean(cosines):.2f}")
        right.bar(name, np.mean(cosines), color="lightgray")
        right.plot([name] * len(cosines), cosines, "o", color="black", markersize=4)
    right.set(ylabel="cosine of two gradients")
    right.tick_params(axis="x", labelsize="small")
    common.save(made, chosen.out)


if __name__ == "__main__":
    main()
