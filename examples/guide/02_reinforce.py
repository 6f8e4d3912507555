"""REINFORCE on the first 100 steps of level 1-1, and how noisy its gradients are.

Left: how far Mario gets while he learns. Right: how much two gradients agree (the cosine of the
angle between them) that were estimated from different episodes of one policy.
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


def train(seed: int, updates: int) -> tuple[list[float], nn.Module]:
    """The mean distance in each update's episodes, and the policy."""
    policy = common.tile_network(common.ACTIONS, seed)
    act, games = common.sampler(policy, seed), common.Games(GAMES, seed, STEPS)
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-3)
    distances = []
    for _ in range(updates):
        rollout = games.play_episodes(act, STEPS)
        distances.append(rollout.distances(first=True).mean())
        loss = reinforce_loss(policy, rollout, returns_to_go(rollout))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return distances, policy


def agreement(policy: nn.Module, seed: int, sizes: list[int]) -> list[float]:
    """The mean cosine of gradients from ``size`` episodes each, for each size."""
    count = 4 * max(sizes)
    rollout = common.Games(count, seed, STEPS).play_episodes(common.sampler(policy, seed), STEPS)
    signal = returns_to_go(rollout)
    each = torch.stack([
        common.flat_gradient(reinforce_loss(policy, rollout.of([i]), signal[:, [i]]), policy)
        for i in range(count)
    ])  # fmt: skip
    cosines = []
    for size in sizes:
        means = nn.functional.normalize(each.view(-1, size, each.shape[1]).mean(1))
        cosines.append(float((means[::2] * means[1::2]).sum(1).mean()))
    return cosines


def main() -> None:
    chosen = common.options(__doc__)
    updates, sizes = (2, [1, 2]) if chosen.quick else (40, [1, 2, 4, 8, 16, 32, 64])
    curves, cosines = [], []
    for seed in chosen.seeds:
        curve, policy = train(seed, updates)
        curves.append(curve)
        cosines.append(agreement(policy, seed, sizes))
        first, last = np.mean(curve[:5]), np.mean(curve[-5:])
        print(f"seed {seed}: distance {first:.0f} at first, {last:.0f} at the end")
    for size, cosine in zip(sizes, np.mean(cosines, 0), strict=True):
        print(f"gradients from {size:2} episodes: cosine {cosine:.2f}")
    made, (left, right) = common.figure(2)
    common.band(left, GAMES * STEPS * np.arange(updates), curves, "REINFORCE")
    left.set(xlabel="steps played", ylabel="distance in 100 steps, pixels")
    common.band(right, sizes, cosines, "after training")
    right.set(xscale="log", xlabel="episodes in each gradient", ylabel="cosine of two gradients")
    right.set_ylim(0, 1)
    common.save(made, chosen.out)


if __name__ == "__main__":
    main()
