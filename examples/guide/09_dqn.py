"""Q-learning on level 1-1: with a table, and with a network (DQN) and without parts of it.

Left: how far Mario gets by the best actions. Right: what the values promise, with a target network
and without, beside what was then earned. Two processes run at a time.
"""

from __future__ import annotations

import common
import numpy as np
import torch
from deep_q import ACTIONS, GAMES, LEVEL, Evaluation, Settings, evaluate, learn_all
from torch import Tensor

from mario_envkit.game import tiles

RECIPES = {
    "DQN": Settings(),
    "no replay": Settings(buffer=512),  # nothing but the last 32 steps of each game
    "no target network": Settings(tau=1.0),
}
FACTS = [tiles.FACTS.index(name) for name in ("x_in_area", "height", "air")]
SHAPE = (256, 16, 4, ACTIONS)  # of the table: Mario's column, row, whether he is in the air


def cells(obs: common.Array) -> tuple[common.Array, ...]:
    """Which cells of the table pictures ``(N, 16, 16)`` are."""
    x, height, air = np.moveaxis(tiles.split(obs)[1][..., FACTS], -1, 0)
    return x, height // 16, air // 80


def update(q: common.Array, played: common.Rollout, gamma: float = 0.9, rate: float = 0.2) -> None:
    """Move the values of one step's actions towards what they should be."""
    before, action = cells(played.obs[0]), played.action[0]
    over = (played.terminated | played.truncated)[0]
    after = np.where(over[:, None, None], played.final_obs[0], played.obs[1])
    future = np.where(played.terminated[0], 0.0, q[cells(after)].max(axis=1))
    wanted = played.reward[0] + gamma * future
    q[(*before, action)] += rate * (wanted - q[(*before, action)])


def learn_table(seed: int, steps: int) -> list[Evaluation]:
    """Q-learning with a number for each action in each cell."""
    q, rng = np.zeros(SHAPE), np.random.default_rng(seed)
    games, test = (common.Games(n, seed, **LEVEL) for n in (GAMES, 8))
    found: list[Evaluation] = []

    def best(obs: Tensor) -> tuple[Tensor, Tensor]:
        values = torch.from_numpy(q[cells(obs.numpy())]).max(1)
        return values.indices, values.values

    def explore(obs: Tensor) -> tuple[Tensor, Tensor]:
        action, value = best(obs)
        random = rng.random(GAMES) < max(1.0 - 2 * games.played / steps, 0.05)
        anything = torch.from_numpy(rng.integers(ACTIONS, size=GAMES))
        return torch.where(torch.from_numpy(random), anything, action), value

    while games.played < steps:
        update(q, games.play(explore, 1))
        if games.played % 2_048 == 0:
            found.append(evaluate(best, test, games.played, 0.9))
    visited = np.count_nonzero(q.any(axis=-1))
    print(f"table, seed {seed}: x {np.mean([each.x for each in found[-3:]]):.0f}, {visited} cells")
    return found


def main() -> None:
    chosen = common.options(__doc__)
    steps = 2_048 if chosen.quick else 12_288
    settings = {"DQN": RECIPES["DQN"]} if chosen.quick else RECIPES
    runs = {"table": [learn_table(seed, steps) for seed in chosen.seeds]}
    runs |= learn_all(settings, chosen.seeds, steps)
    made, (left, right) = common.figure(2)
    for name, found in runs.items():
        seen = np.array(found)
        common.band(left, seen[0, :, 0], seen[..., 1], name)
        if "replay" not in name and name != "table":
            common.band(right, seen[0, :, 0], seen[..., 2], f"{name}: promised")
            right.plot(seen[0, :, 0], seen[..., 3].mean(0), "--", label=f"{name}: earned")
    left.set(xlabel="steps played", ylabel="distance of greedy play, pixels")
    right.set(xlabel="steps played", ylabel="mean discounted return")
    common.save(made, chosen.out)


if __name__ == "__main__":
    main()
