"""Three policies on level 1-1: one plays at random, one runs to the right, one was trained.

Left: the share of their episodes that get past a place. Right: the return from each step of an
episode to its end, for two discounts, in an episode in which the second one dies.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import common
import gymnasium
import numpy as np

from mario_agents.commands.stored_run import StoredRun
from mario_agents.evaluation.agents import load_agent
from mario_agents.zoo import located
from mario_envkit.plugins import Policy

STICKY = 0.25  # chance of a step that repeats the action before: no two episodes are the same


def policies() -> dict[str, tuple[Policy, dict[str, Any]]]:
    """Each by its name, with how it sees and acts."""
    found = {}
    for name in ("random", "run-right"):
        agent = load_agent(name, {"level": "1-1", "reward": "progress"})
        found[name] = agent.policy, dict(agent.env_kwargs)
    run = StoredRun.open(located(Path("zoo:1-1")))
    trained = run.trainer.load_policy(run.config, run.directory.path, device="cpu", weights="best")
    return {**found, "trained": (trained, dict(run.trainer.env_kwargs(run.config)))}


def play(policy: Policy, how: dict[str, Any], games: int, seed: int) -> tuple[Any, ...]:
    """One episode of each of so many games: rewards ``(T, games)``, where they ended, flags."""
    how = {"id": "MarioTrain-v0", **how, "repeat_action_probability": STICKY, "noop_max": 30}
    envs = gymnasium.make_vec(num_envs=games, autoreset_mode="SameStep", **how)
    observations, _ = envs.reset(seed=seed)
    policy.reset(games)
    playing, x, flags, rewards = np.ones(games, bool), np.zeros(games), np.zeros(games, bool), []
    while playing.any():
        actions = policy.act(observations, greedy=False)
        observations, reward, terminated, truncated, infos = envs.step(actions)
        rewards.append(np.where(playing, reward, 0))
        over = (terminated | truncated) & playing
        if over.any():
            x[over] = infos["final_info"]["x_pos"][over]
            flags[over] = infos["final_info"]["ending"][over] == "flag"
        playing &= ~over
    envs.close()
    return np.array(rewards), x, flags


def returns(rewards: common.Array, gamma: float) -> common.Array:
    """``G[t] = r[t] + gamma * G[t + 1]`` of each step, ``(T, ...)``."""
    result = rewards.astype(float)
    for t in reversed(range(len(rewards) - 1)):
        result[t] += gamma * result[t + 1]
    return result


def main() -> None:
    chosen = common.options(__doc__, seeds=1)
    games = 4 if chosen.quick else 100
    made, (left, right) = common.figure(2)
    for name, (policy, how) in policies().items():
        rewards, x, flags = play(policy, how, games, seed=chosen.seeds[0])
        print(
            f"{name:9}: mean return {rewards.sum(0).mean():6.1f}, mean distance {x.mean():5.0f}, "
            f"flag in {flags.sum()} of {games} episodes"
        )
        places = np.linspace(0, 3200, 200)
        left.plot(places, (x[:, None] > places).mean(0), label=name)
        if name == "run-right":
            one = rewards[: np.flatnonzero(rewards[:, 0])[-1] + 1, 0]
    for gamma in (0.9, 0.99):
        right.plot(returns(one, gamma), label=f"return, discount {gamma}")
    right.plot(one, color="gray", linewidth=0.8, label="reward")
    left.set(xlabel="place in the level, pixels", ylabel="share of episodes that get past it")
    right.set(xlabel="step of one episode")
    common.save(made, chosen.out)


if __name__ == "__main__":
    main()
