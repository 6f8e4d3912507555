"""The vector environment against single environments with wrappers, for a long time.

``python -m tests.lockstep.vector`` compares observations, rewards, terminations, truncations and
infos of more than 100,000 agent steps, and says what they met with: deaths, flags, truncations.
"""

from __future__ import annotations

import argparse
import itertools
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from mario_envkit.game.levels import all_levels
from tests.native.test_pool import run_to_the_flag
from tests.native.vectors import Counts, compare, hold_some, make_both


def train(steps: int, seed: int, **kwargs: Any) -> tuple[int, Counts]:
    """Every option at once on every level; returns agent steps and what happened."""
    levels = [str(level) for level in all_levels()] + ["random", "sequential", "full", ["1-1"]]
    levels = [levels[i] for i in np.random.default_rng(seed).permutation(len(levels))[:12]]
    both = make_both(
        "MarioTrain-v0", len(levels), levels=levels, noop_max=20, max_pool=seed % 2 == 1,
        repeat_action_probability=0.25, repeat_frame_probability=(0, 0.25)[seed // 2 % 2],
        reward_weights={"death": 9, "stall": 2.5}, stall_limit=40, max_episode_steps=150,
        reward=("v7", "v9", "progress")[seed % 3], timing=("console", "nes-py")[seed % 2], **kwargs,
    )  # fmt: skip
    return steps * len(levels), compare(*both, steps, hold_some(len(levels), 7, seed), seed)


def flags(seed: int, **kwargs: Any) -> tuple[int, Counts]:
    """A run to the flag of 1-1 beside games that die and stall."""
    run = run_to_the_flag()
    both = make_both(
        "Mario-v0", 3, timing="nes-py", screen_size=84, grayscale=True, stall_limit=300,
        reward="v9", level=("1-1", "full")[seed % 2], **kwargs,
    )  # fmt: skip
    other = hold_some(3, 256, seed)

    def act(number: int) -> Any:
        actions = other(number)
        if number < len(run):
            actions[0] = run[number]
        actions[1] = 0x82
        return actions

    steps = len(run) + 500
    return steps * 3, compare(*both, steps, act, seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=700, help="of each of the 9 training vectors")
    arguments = parser.parse_args()
    total, met = 0, Counts()
    modes = [mode.value for mode in AutoresetMode]
    for seed, (mode, threads) in enumerate(itertools.product(modes, (1, 2, 5))):
        kwargs = {"autoreset_mode": mode, "num_threads": threads}
        for count, counts in (train(arguments.steps, seed, **kwargs), flags(seed, **kwargs)):
            total += count
            for name, number in counts.items():
                met[name] = met.get(name, 0) + number
        print(f"{mode}, {threads} threads: equal so far, {total:,} agent steps: {dict(met)}")


if __name__ == "__main__":
    main()
