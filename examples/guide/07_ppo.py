"""PPO on level 1-1: what many epochs over the same steps do with and without the clip.

Left: how far Mario gets while he learns, for one epoch, for eight, and for eight with the clip.
Right: how far each update moved the policy, as the KL divergence of the old policy from the new.
"""

from __future__ import annotations

import common
import numpy as np
import torch
from torch import nn

from mario_agents.ops.gae import gae
from mario_agents.ops.policy_gradient import (
    action_log_prob,
    approximate_kl,
    categorical_entropy,
    clipped_policy_loss,
    normalized,
    value_loss,
)

GAMMA, LAMBDA, GAMES, STEPS, MINIBATCH, LIMIT = 0.95, 0.95, 32, 64, 256, 200


# How often each step is learned from, and how far its probability may move.
SETTINGS = {"1 epoch": (1, np.inf), "8 epochs": (8, np.inf), "8 epochs, clip 0.2": (8, 0.2)}


def update(
    networks: nn.ModuleList, optimizer: torch.optim.Optimizer, rollout: common.Rollout,
    setting: tuple[int, float], rng: np.random.Generator, gamma: float = GAMMA, bonus: float = 0.01,
) -> float:  # fmt: skip
    """Learn from one rollout; how far the policy has moved then, in nats."""
    (policy, value), (epochs, clip) = networks, setting
    values, final = common.rollout_values(value, rollout)
    advantage = gae(
        rollout.reward, values, final, rollout.terminated, rollout.truncated, gamma, LAMBDA
    )
    obs, action, old, gain, target = (
        torch.from_numpy(column.reshape(-1, *column.shape[2:]))
        for column in (
            rollout.obs[:-1], rollout.action, rollout.log_prob, advantage, advantage + values[:-1]
        )
    )  # fmt: skip
    for _ in range(epochs):
        for part in rng.permutation(len(obs)).reshape(-1, MINIBATCH):
            logits = policy(obs[part])
            log_prob = action_log_prob(logits, action[part])
            actor = clipped_policy_loss(log_prob, old[part], normalized(gain[part]), clip)
            critic = value_loss(value(obs[part]).squeeze(1), target[part])
            entropy = categorical_entropy(logits).mean()
            common.descend(optimizer, actor + 0.5 * critic - bonus * entropy)
    with torch.no_grad():
        return float(approximate_kl(action_log_prob(policy(obs), action), old))


def train(seed: int, updates: int, setting: tuple[int, float]) -> tuple[list[float], list[float]]:
    """The mean distance of the episodes that end in each update's steps, and the KL of each."""
    networks = common.policy_and_value(seed)
    optimizer, rng = common.adam(networks), np.random.default_rng(seed)
    act, games = common.sampler(networks[0], seed), common.Games(GAMES, seed, LIMIT)
    distances: list[float] = []
    moved = []
    for _ in range(updates):
        rollout = games.play(act, STEPS)
        ended = rollout.distances()
        distances.append(float(ended.mean()) if len(ended) else distances[-1])
        moved.append(update(networks, optimizer, rollout, setting, rng))
    return distances, moved


def main() -> None:
    chosen = common.options(__doc__)
    updates = 2 if chosen.quick else 26
    made, (left, right) = common.figure(2)
    steps = GAMES * STEPS * np.arange(1, updates + 1)
    settings = {name: (updates, setting) for name, setting in SETTINGS.items()}
    for name, runs in common.repeat(train, chosen.seeds, settings):
        common.band(left, steps, [common.smooth(distances) for distances, _ in runs], name)
        common.band(right, steps, [common.smooth(moved) for _, moved in runs], name)
        ends = [round(float(np.mean(distances[-8:]))) for distances, _ in runs]
        kl = np.mean([moved for _, moved in runs])
        print(f"{name:18}: distance {ends} at the end, KL of an update {kl:.3f}")
    left.set(xlabel="steps played", ylabel="distance in 200 steps, pixels")
    right.set(xlabel="steps played", ylabel="KL of an update, nats", yscale="log", ylim=(1e-3, 20))
    common.save(made, chosen.out)


if __name__ == "__main__":
    main()
