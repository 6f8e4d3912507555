"""IMPALA on level 1-1: actors that play with old weights, with and without V-trace.

Left: how far Mario gets while he learns, with fresh weights and with ones that are 10 updates old.
Right: three estimates of a new policy's value from games of an old one: bias and spread.
"""

from __future__ import annotations

from collections import deque
from copy import deepcopy

import common
import numpy as np
import torch
from torch import Tensor, nn

from mario_agents.ops.policy_gradient import categorical_entropy, normalized, value_loss
from mario_agents.ops.vtrace import OF_PAPER, Bounds, VTrace, vtrace

GAMMA, GAMES, STEPS, LIMIT, LAG = 0.95, 32, 16, 100, 10
UNBOUNDED = Bounds(rho=float("inf"), c=float("inf"))


def corrected(
    rollout: common.Rollout, log_prob: Tensor | None, value: nn.Module, bounds: Bounds | None
) -> VTrace:
    """Targets and advantages of a rollout of another policy; None corrects nothing."""
    played, (values, final) = rollout.tensors(), common.rollout_values(value, rollout)
    log_rho = played.log_prob * 0 if bounds is None else log_prob - played.log_prob
    return vtrace(
        log_rho, played.reward.float(), torch.from_numpy(values), torch.from_numpy(final),
        played.terminated, played.truncated, gamma=GAMMA, bounds=bounds or OF_PAPER,
    )  # fmt: skip


def train(seed: int, updates: int, lag: int, bounds: Bounds | None, states: int) -> tuple:
    """The mean distance of the episodes that end in each eight updates; then :func:`estimates`."""
    policy, value = networks = common.policy_and_value(seed)
    optimizer = common.adam(networks)
    actor = deepcopy(policy)
    act, games, ended = common.sampler(actor, seed), common.Games(GAMES, seed, LIMIT), []
    weights = deque([deepcopy(policy.state_dict())], maxlen=lag + 1)
    for _ in range(updates):
        actor.load_state_dict(weights[0])  # as they were ``lag`` updates ago
        rollout = games.play(act, STEPS)
        log_prob = common.log_probs(policy, rollout)
        target, advantage, pg_rho = corrected(rollout, log_prob, value, bounds)
        obs = torch.from_numpy(rollout.obs[:-1]).flatten(0, 1)
        gain = (pg_rho * normalized(advantage) * log_prob).mean()
        gain += 0.01 * categorical_entropy(policy(obs)).mean()
        common.descend(optimizer, value_loss(value(obs).squeeze(1), target.flatten()) - gain)
        weights.append(deepcopy(policy.state_dict()))
        ended.append(rollout.distances())
    measured = estimates(actor, policy, value, seed, states) if states else None
    return common.means(ended, 8), measured


def estimates(old: nn.Module, new: nn.Module, value: nn.Module, seed: int, states: int) -> list:
    """Bias and spread of three estimates of the new policy's value, ``(2, 3)``."""
    games, found = common.Games(64, seed), []
    act, new_act = common.sampler(old, seed), common.sampler(new, seed + 1)
    for _ in range(states):
        games.play(act, 7)
        restore = games.copy_first()
        restore()
        with torch.no_grad():
            true = corrected(games.play(new_act, 100), None, value, None).target[0]
            restore()
            played = games.play(act, 20)
            log_prob = common.log_probs(new, played)
        each = [corrected(played, log_prob, value, b) for b in (None, UNBOUNDED, OF_PAPER)]
        targets = torch.stack([estimate.target[0] for estimate in each])
        found.append(torch.stack([targets.mean(1) - true.mean(), targets.std(1)]))
    return torch.stack(found).pow(2).mean(0).sqrt().tolist()


def main() -> None:
    chosen, (made, (left, right)) = common.options(__doc__), common.figure(2)
    updates, states = (8, 2) if chosen.quick else (120, 8)
    settings = {"no lag": (updates, 0, OF_PAPER, 0)}
    settings[f"lag {LAG}, no correction"] = updates, LAG, None, 0
    settings[f"lag {LAG}, V-trace"] = updates, LAG, OF_PAPER, states
    steps = 8 * GAMES * STEPS * np.arange(1, updates // 8 + 1)
    for name, runs in common.repeat(train, chosen.seeds, settings):
        curves, found = zip(*runs, strict=True)
        common.band(left, steps, curves, name)
        print(f"{name:22}: distance {[round(np.mean(curve[-3:])) for curve in curves]} at the end")
    measured = np.mean(found, axis=0)
    names = ["no correction", "importance sampling", "V-trace"]
    for i, (what, sizes) in enumerate(zip(("bias", "standard deviation"), measured, strict=True)):
        right.bar(np.arange(3) + 0.4 * i, sizes, width=0.4, label=what)
        print(f"{what}:", *(f"{name} {size:.2f}" for name, size in zip(names, sizes, strict=True)))
    right.set(xticks=np.arange(3) + 0.2, xticklabels=names, ylabel="error of the value (RMS)")
    left.set(xlabel="steps played", ylabel="distance in 100 steps, pixels")
    common.save(made, chosen.out)


if __name__ == "__main__":
    main()
