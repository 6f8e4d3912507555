"""Three repairs of Q-learning: double, dueling and n-step.

Left: what the largest of noisy values seems to be, and what a second opinion says. Middle: how good
the values of a random walk of 19 places are after 10 episodes, by step size (Sutton and Barto,
figure 7.2). Right: each repair on level 1-1. Two processes run at a time.
"""

from __future__ import annotations

import common
import numpy as np
import torch
from deep_q import Settings, learn_all

from mario_agents.ops.nstep import n_step_returns
from mario_agents.ops.td import double_q_target

RECIPES = {
    "plain": Settings(),
    "double": Settings(double=True),
    "dueling": Settings(dueling=True),
    "5-step": Settings(n_step=5),
}
PLACES = 19


def bias(actions: int, *, double: bool, samples: int = 20_000) -> float:
    """The mean target where every action is worth 0, and estimates are off by about 1."""
    rng = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, samples, actions, generator=rng)
    nothing, all_of_it = torch.zeros(samples), torch.ones(samples)
    return double_q_target(first, second if double else first, nothing, all_of_it).mean().item()


def walk(rng: np.random.Generator) -> common.Array:
    """Places from the middle until -1 (reward -1) or 19 (reward 1) is reached."""
    while True:
        steps = PLACES // 2 + np.cumsum(np.r_[0, rng.choice([-1, 1], 2_000)])
        ends = np.flatnonzero((steps < 0) | (steps == PLACES))
        if len(ends):
            return steps[: ends[0] + 1]


def walk_error(n: int, rate: float, seeds: int, episodes: int = 10) -> float:
    """Mean error of the values during the first episodes."""
    truth = np.linspace(-0.9, 0.9, PLACES)
    errors = []
    for seed in range(seeds):
        rng, value = np.random.default_rng(seed), np.zeros(PLACES + 2)  # the ends are worth 0
        for _ in range(episodes):
            places = walk(rng)
            steps = len(places) - 1
            row = np.minimum(np.arange(steps)[:, None] + np.arange(n), steps - 1)
            reward = np.where(row == steps - 1, np.sign(places[-1]), 0).astype(np.float32)
            found = n_step_returns(reward, row == steps - 1, row < 0, gamma=1.0)
            for t, (gain, discount, last) in enumerate(zip(*found, strict=True)):
                wanted = gain + discount * value[places[t + last + 1]]
                value[places[t]] += rate * (wanted - value[places[t]])
            errors.append(np.sqrt(np.mean((value[:PLACES] - truth) ** 2)))
    return float(np.mean(errors))


def main() -> None:
    chosen = common.options(__doc__, seeds=2)
    made, (left, middle, right) = common.figure(3)
    counts = [2, 3, 5, 7, 12, 20]
    for name in ("one network", "double"):
        seen = [bias(count, double=name == "double") for count in counts]
        print(f"{name}: {dict(zip(counts, np.round(seen, 2).tolist(), strict=True))}")
        left.plot(counts, seen, marker="o", label=name)
    left.set(xlabel="actions, all worth 0", ylabel="mean target")
    rates = [0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0]
    for n in (1, 4) if chosen.quick else (1, 2, 4, 8, 16):
        errors = [walk_error(n, rate, 2 if chosen.quick else 20) for rate in rates]
        print(f"{n}-step: least error {min(errors):.3f}, with rate {rates[np.argmin(errors)]}")
        middle.plot(rates, errors, label=f"{n}-step")
    middle.set(xlabel="step size", ylabel="error of values", ylim=(0.2, 0.6))
    settings = {"5-step": RECIPES["5-step"]} if chosen.quick else RECIPES
    runs = learn_all(settings, chosen.seeds, 2_048 if chosen.quick else 12_288)
    for name, found in runs.items():
        seen = np.array(found)
        common.band(right, seen[0, :, 0], seen[..., 1], name)
    right.set(xlabel="steps played", ylabel="distance of greedy play, pixels")
    common.save(made, chosen.out)


if __name__ == "__main__":
    main()
