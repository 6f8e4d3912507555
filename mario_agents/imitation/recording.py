"""Demonstrations of a trained agent: those of its episodes that reach the flag, as runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mario_agents.acting.actor import Actor
from mario_agents.acting.environments import make_vector
from mario_agents.acting.plugin_policy import policy_of
from mario_agents.core.types import Step
from mario_envkit.curriculum.runs import Run
from mario_envkit.env import MarioEnv
from mario_envkit.errors import OptionError, ReplayError
from mario_envkit.game.actions import resolve_actions
from mario_envkit.game.endings import is_success
from mario_envkit.game.levels import parse_level
from mario_envkit.plugins import Policy

MOST_GAMES = 16
"""Games that are played together."""
_OF_GAME = ("game", "rom", "rom_unknown")


def recorded_runs(
    policy: Policy, env_kwargs: Mapping[str, Any], *, episodes: int, greedy: bool, seed: int
) -> Iterator[Run | None]:
    """Play episodes; each as a run if it reached the flag, else None.

    They begin without idle frames and nothing sticks, so that a run is what the agent chose.

    Args:
        policy: the agent.
        env_kwargs: of its game, of single levels.
        episodes: how many.
        greedy: the best action, or sampled as the agent explores.
        seed: of the first episode.

    Raises:
        OptionError: if the agent plays something else.
    """
    if "id" in env_kwargs or env_kwargs.get("level") == "full":
        raise OptionError("Runs are of single levels of the game, and this agent plays others.")
    plain = {
        **env_kwargs,
        **{"noop_max": 0, "repeat_action_probability": 0.0, "repeat_frame_probability": 0.0},
    }
    with closing(make_vector(plain, min(episodes, MOST_GAMES))) as envs:
        for first in range(0, episodes, envs.num_envs):
            actor = Actor(
                *(envs, policy_of(policy)),
                seed=seed + first,
                mode="greedy" if greedy else "sample",
            )
            levels = actor.info.get("level", "")
            steps: list[Step] = []
            lengths: dict[int, int] = {}
            won: dict[int, bool] = {}
            while len(lengths) < envs.num_envs:
                for episode in actor.collect(envs.num_envs, sink=steps.append).episodes:
                    lengths.setdefault(episode.env, episode.length)
                    won.setdefault(episode.env, episode.success)
            for game in range(min(envs.num_envs, episodes - first)):
                actions = np.array([step.action[game] for step in steps[: lengths[game]]])
                yield run_of(actions, str(levels[game]), plain) if won[game] else None


def run_of(actions: NDArray[np.int64], level: str, env_kwargs: Mapping[str, Any]) -> Run:
    """The run that an agent's actions ``(T,)`` are, from the level's own start to the flag.

    Raises:
        ReplayError: if they do not reach the flag.
    """
    joypad = np.array(resolve_actions(env_kwargs["actions"]), np.uint8)
    held = np.repeat(joypad[actions], env_kwargs["frame_skip"])
    known = {name: env_kwargs[name] for name in _OF_GAME if name in env_kwargs}
    with closing(MarioEnv(level=level, observation="ram", **known)) as env:
        env.reset()
        core, rom = env.emulator.core, env.emulator.rom_sha256
        for frame, byte in enumerate(held.tolist(), start=1):
            *_, terminated, _, info = env.step(byte)
            if terminated and is_success(info["ending"]):
                stage = parse_level(level, env.game)
                timing = core.rpartition("/")[2]
                return Run(stage, held[:frame].tobytes(), timing, core, rom, env.game)
    raise ReplayError(f"The actions do not reach the flag of {level} when they are played again.")
