"""What is still open: agents that have learned one game by heart.

Left: how often the flag of 1-1 is reached when the console repeats the action before with some
probability, by a recording that does not look, by running to the right, and by a trained agent.
Right: how far the agent that was trained on 1-1 gets in levels that it has never seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import common
import gymnasium
import numpy as np

from mario_agents.commands.stored_run import StoredRun
from mario_agents.evaluation.agents import load_agent
from mario_agents.zoo import located
from mario_envkit.curriculum.search import solve
from mario_envkit.game.actions import SIMPLE_MOVEMENT, joypad_byte

STICKY = [0.0, 0.05, 0.1, 0.2, 0.3, 0.4]
LEVELS = ["1-1", "2-1", "3-1", "4-1"]


class Recording:
    """Presses the buttons of a run that reached the flag, whatever there is to see."""

    def __init__(self) -> None:
        run, effort = solve("1-1", actions="simple", frame_skip=4, seed=0)
        print(f"search: {run.frames} frames to the flag, found after {effort.seconds:.1f} s")
        buttons = [joypad_byte(names) for names in SIMPLE_MOVEMENT]
        self._actions = [buttons.index(byte) for byte in run.actions[::4]]
        self.env_kwargs = {"observation": "tiles", "actions": "simple", "noop_max": 0}

    def reset(self, games: int) -> None:
        self._left = [*self._actions, *[0] * 1_000]

    def act(self, observations: common.Array, **how: Any) -> common.Array:
        return np.full(len(observations), self._left.pop(0))


def agents() -> dict[str, tuple[Any, dict[str, Any]]]:
    """By name, with what they see and do."""
    recording, running = Recording(), load_agent("run-right", {"level": "1-1"})
    run = StoredRun.open(located(Path("zoo:1-1")))
    trained = run.trainer.load_policy(run.config, run.directory.path, device="cpu", weights="best")
    return {
        "recording": (recording, recording.env_kwargs),
        "run-right": (running.policy, dict(running.env_kwargs)),
        "trained on 1-1": (trained, dict(run.trainer.env_kwargs(run.config))),
    }


def play(
    policy: Any, how: dict[str, Any], sticky: Sequence[float], level: str, seed: int
) -> tuple[common.Array, common.Array]:
    """Whether each of so many games reached the flag, and how far it came; one episode each."""
    options = {"noop_max": 30, "stall_limit": 150, **how}
    options |= {"id": "MarioTrain-v0", "level": level, "repeat_action_probability": list(sticky)}
    envs = gymnasium.make_vec(num_envs=len(sticky), autoreset_mode="SameStep", **options)
    observations, _ = envs.reset(seed=seed)
    policy.reset(len(sticky))
    playing, (flags, x) = np.ones(len(sticky), bool), np.zeros((2, len(sticky)))
    while playing.any():
        actions = policy.act(observations, greedy=True)
        observations, _, terminated, truncated, infos = envs.step(actions)
        if (over := (terminated | truncated) & playing).any():
            x[over] = infos["final_info"]["x_pos"][over]
            flags[over] = infos["final_info"]["ending"][over] == "flag"
        playing &= ~over
    envs.close()
    return flags, x


def main() -> None:
    chosen = common.options(__doc__, seeds=1)
    games = 2 if chosen.quick else 40
    levels, (made, (left, right)) = LEVELS[: 1 if chosen.quick else None], common.figure(2)
    for at, (name, (policy, how)) in enumerate(agents().items()):
        flags, _ = play(policy, how, np.repeat(STICKY, games), "1-1", chosen.seeds[0])
        shares = 100 * flags.reshape(len(STICKY), games).mean(1)
        print(f"{name}: flag in {np.round(shares)} % with sticky {STICKY}")
        left.plot(STICKY, shares, marker="o", label=name)
        if name != "recording":
            sticky, seed = [0.25] * games, chosen.seeds[0]
            far = np.array([play(policy, how, sticky, level, seed)[1].mean() for level in levels])
            print(f"{name}: mean x {np.round(far)} in {levels}")
            right.bar(np.arange(len(levels)) + 0.4 * (at - 1), far, 0.4, color=f"C{at}", label=name)
    left.set(xlabel="probability that an action is repeated", ylabel="flag reached, %")
    right.set(ylabel="mean distance, pixels")
    right.set_xticks(np.arange(len(levels)) + 0.2, levels)
    common.save(made, chosen.out)


if __name__ == "__main__":
    main()
