"""REINFORCE on the first 100 steps of level 1-1, and how noisy its gradients are.

Left: how far Mario gets while he learns. Right: how well two gradients agree (the cosine of the
angle between them) that were estimated from different episodes of the untrained policy.
"""

from __future__ import annotations

import common
import numpy as np
import torch
from torch import Tensor, nn

from mario_agents.ops.gae import gae
from mario_agents.ops.policy_gradient import action_log_prob

GAMMA, STEPS, GAMES = 0.95, 100, 32


def returns_to_go(rollout: common.Rollout) -> common.Array:
    """Discounted sums ``(T, N)`` of the rewards from each step to the end of its episode."""
    nothing = np.zeros((len(rollout.reward) + 1, rollout.reward.shape[1]))
    over = rollout.terminated | rollout.truncated
    return gae(rollout.reward, nothing, nothing[1:], over, over & False, GAMMA, 1.0)


def reinforce_loss(policy: nn.Module, rollout: common.Rollout, signal: common.Array) -> Tensor:
    """``-log pi(a|s) * signal``, summed over the steps of an episode, averaged over episodes."""
    played = rollout.first
    logits = policy(torch.from_numpy(rollout.obs[:-1][played]))
    log_prob = action_log_prob(logits, torch.from_numpy(rollout.action[played]))
    return -(log_prob * torch.from_numpy(signal[played])).sum() / played.shape[1]


def train(seed: int, updates: int) -> list[float]:
    """The mean distance in the episodes of each update."""
    policy = common.tile_network(common.ACTIONS, seed)
    act, games = common.sampler(policy, seed), common.Games(GAMES, seed, STEPS)
    optimizer = common.adam(policy)
    distances = []
    for _ in range(updates):
        rollout = games.play_episodes(act, STEPS)
        distances.append(rollout.distances(first=True).mean())
        common.descend(optimizer, reinforce_loss(policy, rollout, returns_to_go(rollout)))
    return distances


def gradients(policy: nn.Module, rollout: common.Rollout, signal: common.Array) -> Tensor:
    """That of each episode by itself, ``(episodes, weights)``."""
    return torch.stack([
        common.flat_gradient(reinforce_loss(policy, rollout.of([i]), signal[:, [i]]), policy)
        for i in range(signal.shape[1])
    ])  # fmt: skip


def agreement(each: Tensor, size: int) -> float:
    """The mean cosine of the angle between two gradients, each from ``size`` other episodes."""
    products, rng = each @ each.T, np.random.default_rng(0)
    cosines = []
    for _ in range(200):
        one, two = rng.permutation(len(each))[: 2 * size].reshape(2, size)
        inner, *norms = (products[np.ix_(*ab)].sum() for ab in ((one, two), (one, one), (two, two)))
        cosines.append(inner / (norms[0] * norms[1]).sqrt())
    return float(torch.stack(cosines).mean())


def main() -> None:
    chosen = common.options(__doc__)
    updates, sizes = (2, [1, 2]) if chosen.quick else (30, [1, 2, 4, 8, 16, 32, 64])
    curves, cosines = [], []
    for seed in chosen.seeds:
        curve = train(seed, updates)
        curves.append(curve)
        policy = common.tile_network(common.ACTIONS, seed)  # as it is before training
        games = common.Games(4 * sizes[-1], seed, STEPS)
        rollout = games.play_episodes(common.sampler(policy, seed), STEPS)
        each = gradients(policy, rollout, returns_to_go(rollout))
        cosines.append([agreement(each, size) for size in sizes])
        first, last = np.mean(curve[:5]), np.mean(curve[-5:])
        print(f"seed {seed}: distance {first:.0f} at first, {last:.0f} at the end")
    for size, cosine in zip(sizes, np.mean(cosines, 0), strict=True):
        print(f"gradients from {size:2} episodes: cosine {cosine:.2f}")
    made, (left, right) = common.figure(2)
    common.band(left, GAMES * STEPS * np.arange(updates), curves, "REINFORCE")
    left.set(xlabel="steps played", ylabel="distance in 100 steps, pixels")
    common.band(right, sizes, cosines, "two estimates of one gradient")
    right.set(xscale="log", xlabel="episodes in each gradient", ylabel="cosine of two gradients")
    right.set_ylim(0, 1)
    common.save(made, chosen.out)


if __name__ == "__main__":
    main()
