"""What is drawn from replay: all steps alike, or the surprising ones more often.

Left: how many updates it takes to learn the values of a walk along a cliff, in which only one long
sequence of right choices is paid (Schaul et al. 2016, figure 1). Right: level 1-1, with uniform and
prioritized replay, and with games that explore each by its own share (Ape-X).
"""

from __future__ import annotations

import common
import numpy as np
from deep_q import GAMES, Settings, learn_all

from mario_agents.ops.prioritized import scaled_priority
from mario_agents.ops.schedules import apex_epsilon
from mario_agents.replay.sum_tree import SumTrees

RECIPES = {
    "uniform": Settings(n_step=3),
    "prioritized": Settings(n_step=3, alpha=0.6),
    "Ape-X": Settings(n_step=3, alpha=0.6, apex=True),
}


def cliff(places: int) -> common.Array:
    """All that can be played: rows of place, whether the choice was right, reward, place after it
    (-1: over). Every sequence of choices is there once, up to the first wrong one."""
    rows = []
    for sequence in range(2**places):
        for place in range(places):
            right = bool(sequence >> place & 1)
            last = place == places - 1
            rows.append(
                (place, right, float(right and last), place + 1 if right and not last else -1)
            )
            if not right:
                break
    return np.array(rows)


def updates_needed(places: int, seed: int, *, prioritized: bool) -> int:
    """How many steps of Q-learning until the mean squared error of the values is below 0.001."""
    rng, rows = np.random.default_rng(seed), cliff(places)
    gamma, q = 1 - 1 / places, rng.normal(0, 0.1, (places, 2))
    truth = np.stack([np.zeros(places), gamma ** np.arange(places - 1, -1, -1)], axis=1)
    tree = SumTrees(len(rows))
    tree[np.arange(len(rows))] = 1.0  # as long as nothing is known of them
    for count in range(1, 400_000):
        drawn = rng.integers(len(rows))
        if prioritized:
            drawn = int(tree.find(np.array([rng.random() * tree.total]))[0])
        place, right, reward, after = rows[drawn]
        place, right = int(place), int(right)
        future = gamma * q[int(after)].max() if after >= 0 else 0.0
        error = reward + future - q[place, right]
        q[place, right] += 0.25 * error
        if prioritized:
            tree[np.array([drawn])] = scaled_priority(np.array([error]), alpha=1.0)
        if count % 10 == 0 and np.mean((q - truth) ** 2) < 1e-3:
            break
    return count


def main() -> None:
    chosen = common.options(__doc__)
    made, (left, right) = common.figure(2)
    lengths = range(2, 5 if chosen.quick else 11)
    for name in ("uniform", "prioritized"):
        needed = [
            [updates_needed(n, seed, prioritized=name != "uniform") for n in lengths]
            for seed in range(3)
        ]
        medians = np.median(needed, axis=0).astype(int).tolist()
        print(f"cliff, {name}: {dict(zip(lengths, medians, strict=True))}")
        common.band(left, [2**n for n in lengths], needed, name)
    left.set(xscale="log", yscale="log", xlabel="sequences of choices, one of them paid")
    left.set(ylabel="updates until learned")
    shares = [apex_epsilon(i, GAMES) for i in range(GAMES)]
    print(f"Ape-X: shares of random actions from {shares[0]:.2f} to {shares[-1]:.4f}")
    settings = {"Ape-X": RECIPES["Ape-X"]} if chosen.quick else RECIPES
    runs = learn_all(settings, chosen.seeds, 2_048 if chosen.quick else 12_288)
    for name, found in runs.items():
        seen = np.array(found)
        print(f"{name}: deaths are {100 * seen[..., 4].mean():.1f} % of what is drawn")
        common.band(right, seen[0, :, 0], seen[..., 1], name)
    right.set(xlabel="steps played", ylabel="distance of greedy play, pixels")
    common.save(made, chosen.out)


if __name__ == "__main__":
    main()
