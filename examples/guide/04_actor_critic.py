"""Actor-critic on level 1-1: advantages that trust the values, the rewards, or a mixture.

Left: how far Mario gets while he learns, for three lambdas. Right: the n-step returns of one policy
and one rough value, held against many games from the same states: bias and spread by n.
"""

from __future__ import annotations

from typing import Any

import common
import numpy as np
import torch
from torch import Tensor, nn

from mario_agents.ops.gae import gae
from mario_agents.ops.nstep import n_step_returns
from mario_agents.ops.policy_gradient import value_loss

GAMMA, GAMES, STEPS, LIMIT = 0.95, 32, 16, 100


def actor_critic_loss(
    policy: nn.Module, value: nn.Module, rollout: common.Rollout, lam: float
) -> Tensor:
    """Of the actor, which follows the advantages, and of the critic, which learns the returns."""
    values, final = common.rollout_values(value, rollout)
    ends = rollout.terminated, rollout.truncated
    advantage = gae(rollout.reward, values, final, *ends, GAMMA, lam)
    actor = -(common.log_probs(policy, rollout) * torch.from_numpy(advantage)).mean()
    obs = torch.from_numpy(rollout.obs[:-1]).flatten(0, 1)
    target = torch.from_numpy((advantage + values[:-1]).flatten())
    return actor + value_loss(value(obs).squeeze(1), target)


def train(seed: int, updates: int, lam: float, states: int, ns: list[int]) -> tuple[Any, Any]:
    """The mean distance of the episodes that end in each eight updates; then :func:`errors`."""
    policy, value = networks = common.policy_and_value(seed)
    optimizer = common.adam(networks)
    act, games = common.sampler(policy, seed), common.Games(GAMES, seed, LIMIT)
    ended = []
    for _ in range(updates):
        rollout = games.play(act, STEPS)
        ended.append(rollout.distances())
        common.descend(optimizer, actor_critic_loss(policy, value, rollout, lam))
    return common.means(ended, 8), errors(policy, value, seed, states, ns) if states else None


def errors(policy: nn.Module, value: nn.Module, seed: int, states: int, ns: list[int]) -> Any:
    """Bias and spread of n-step returns, ``(2, len(ns))``, over so many states of a game."""
    act, games, found = common.sampler(policy, seed), common.Games(64, seed), []
    for _ in range(states):
        games.play(act, 7)
        games.copy_first()()
        rollout = games.play(act, max(ns))
        values, _ = common.rollout_values(value, rollout)
        each = []
        for n in ns:
            steps = rollout.reward[:n].T, rollout.terminated[:n].T, rollout.truncated[:n].T
            reward, discount, _ = n_step_returns(*steps, GAMMA)
            each.append(reward + discount * values[n])
        found.append(each)
    returns = torch.tensor(np.array(found))  # (states, ns, copies)
    truth = returns[:, -1:].mean(2)  # the longest sums are all rewards, but for 0.95**100
    bias, spread = returns.mean(2) - truth, returns.std(2)
    return torch.stack([bias.pow(2).mean(0).sqrt(), spread.pow(2).mean(0).sqrt()]).numpy()


def main() -> None:
    chosen = common.options(__doc__)
    updates, states, ns = (8, 2, [1, 8]) if chosen.quick else (120, 24, [1, 2, 4, 8, 16, 32, 100])
    made, (left, right) = common.figure(2)
    measured = {}
    settings = {f"lambda {lam}": (updates, lam, 0, ns) for lam in (0.0, 0.95, 1.0)}
    settings["lambda 0.95"] = updates, 0.95, states, ns
    for name, runs in common.repeat(train, chosen.seeds, settings):
        curves, measured[name] = zip(*runs, strict=True)
        steps = 8 * GAMES * STEPS * np.arange(1, updates // 8 + 1)
        common.band(left, steps, curves, name)
        print(f"{name}: distance {[round(curve[-1]) for curve in curves]} at the end")
    found = np.array(measured["lambda 0.95"])
    for i, name in enumerate(("bias", "standard deviation")):
        common.band(right, ns, found[:, i], name)
        print(
            f"{name}:",
            *(f"n={n} {e:.2f}" for n, e in zip(ns, found.mean(0)[i], strict=True)),
        )
    left.set(xlabel="steps played", ylabel="distance in 100 steps, pixels")
    right.set(xscale="log", xlabel="n", ylabel="of the n-step return, root mean square")
    common.save(made, chosen.out)


if __name__ == "__main__":
    main()
