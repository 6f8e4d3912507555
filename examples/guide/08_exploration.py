"""Level 1-1 with a reward for nothing but the flag: PPO from the true start, and backwards.

The backward algorithm begins episodes near the end of a run that search has found, and earlier
along it as soon as enough of them reach the flag. Left: how far it has come back. Right: flags
reached so far.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import common
import numpy as np

from mario_envkit.curriculum.backward import BackwardStarts
from mario_envkit.curriculum.runs import Run
from mario_envkit.curriculum.search import solve
from mario_envkit.game.rewards import Flag, RewardFunction

chapter_7 = import_module("07_ppo")
GAMES, STEPS, GAMMA = 32, 64, 0.995
FLAG_ONLY = RewardFunction((Flag(5),))


def train(seed: int, updates: int, run: Run | None, bonus: float) -> Any:
    """After each update, how far the starts have come back, and how many flags were reached."""
    networks = common.policy_and_value(seed)
    optimizer, rng = common.adam(networks), np.random.default_rng(seed)
    starts, practice = None if run is None else BackwardStarts(run), {}
    if starts is not None:  # no other snapshots than those along the run
        practice = {"id": "MarioSnapshot-v0", "observation": "tiles", "start_states": starts}
        practice |= {"restore": "on_reset", "max_restores_without_progress": 0}
    games = common.Games(GAMES, seed, reward=FLAG_ONLY, stall_limit=60, **practice)
    act = common.sampler(networks[0], seed)
    progress, flags = [], []
    for _ in range(updates):
        rollout = games.play(act, STEPS)
        chapter_7.update(networks, optimizer, rollout, (4, 0.2), rng, gamma=GAMMA, bonus=bonus)
        progress.append(starts.progress if starts else 1.0)
        flags.append((rollout.reward > 0).sum())
    return progress, np.cumsum(flags)


def main() -> None:
    chosen = common.options(__doc__)
    updates = 2 if chosen.quick else 32
    run, _ = solve("1-1", seed=0)
    steps = GAMES * STEPS * np.arange(1, updates + 1)
    made, (left, right) = common.figure(2)
    settings = {
        "true start": (updates, None, 0.01),
        "backward": (updates, run, 0.01),
        "backward, no entropy bonus": (updates, run, 0.0),
    }
    for name, runs in common.repeat(train, chosen.seeds, settings):
        progress, flags = zip(*runs, strict=True)
        print(
            f"{name:26}: starts {[f'{100 * p[-1]:.0f} %' for p in progress]} of the way back, "
            f"{[int(f[-1]) for f in flags]} flags"
        )
        common.band(right, steps, flags, name)
        if settings[name][1]:
            common.band(left, steps, 100 * np.array(progress), name)
        else:
            left.plot([], [])  # so that colours are the same on both sides
    left.set(xlabel="steps played", ylabel="of the way from the flag to the start, %")
    right.set(xlabel="steps played", ylabel="flags reached so far")
    common.save(made, chosen.out)


if __name__ == "__main__":
    main()
