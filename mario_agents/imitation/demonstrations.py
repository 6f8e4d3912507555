"""From runs that reach the flag to what an agent would have seen and done on the way.

A run is a joypad byte for each frame. An agent holds one of its own actions for some frames, so a
run is of use to it only if it does no more than that: such are those of ``mario-envkit solve`` with
the agent's ``--actions`` and ``--frame-skip``, and those of an agent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from mario_agents.acting.environments import make_vector, runs_of
from mario_agents.acting.episodes import StepInfo
from mario_agents.config import TrainConfig
from mario_envkit.command_line import shell_words
from mario_envkit.curriculum.runs import Run
from mario_envkit.errors import ConfigError, ReplayError
from mario_envkit.game.actions import describe, resolve_actions
from mario_envkit.game.endings import is_success

COPIES = 16
"""How often each run is played, besides as it is, with a little chance: from other numbers of idle
frames, and with now and then an action that sticks. What does not reach the flag then is left out:
so everything that is learned from was right, and the agent sees more than one moment of a place."""
STICKY = 0.02
MOST_BYTES = 1 << 29
"""Of observations that are kept; where they take more, runs are played less often."""
_NEVER = 100_000
"""Agent steps; the clock ends a stage before."""


class Source(NamedTuple):
    """A run, where it comes from, and the actions ``(T,)`` int64 of an agent that plays it."""

    path: Path
    run: Run
    actions: NDArray[np.int64]


class Demonstration(NamedTuple):
    """A game that reached the flag, ``T`` agent steps.

    Attributes:
        obs: ``(T, ...)`` uint8, what was seen.
        action: ``(T,)`` int64, what was done.
        value: ``(T,)`` float32, the discounted reward from there on.
        source: number of its run.
        reward: ``(T,)`` float32.
        final_obs: ``(...)`` uint8, what the last step led to.
    """

    obs: NDArray[np.uint8]
    action: NDArray[np.int64]
    value: NDArray[np.float32]
    source: int
    reward: NDArray[np.float32]
    final_obs: NDArray[np.uint8]


def sources_of(config: TrainConfig) -> list[Source]:
    """The runs that ``imitate`` names.

    Raises:
        ConfigError: if there is one that the agent cannot play; says what to do.
        ReplayError: if there are none, or a file is none.
    """
    assert config.imitate is not None
    found = runs_of("imitate", config.imitate, config)
    return [Source(path, run, agent_actions(path, run, config)) for path, run in found]


def agent_actions(path: Path, run: Run, config: TrainConfig) -> NDArray[np.int64]:
    """The numbers of the actions ``(T,)`` with which an agent plays a run.

    Raises:
        ConfigError: if it cannot.
    """
    skip, known = config.frame_skip, resolve_actions(config.actions)
    again = shell_words(
        *("mario-envkit", "solve", "--level", str(run.level), "--frame-skip", str(skip)),
        *("--actions", config.actions, "--runs", "10", "--out", "FOLDER"),
    )
    held = np.frombuffer(run.actions, np.uint8)
    chosen = held[::skip]
    if (np.repeat(chosen, skip)[: len(held)] != held).any():
        raise ConfigError(
            f"imitate: {path} changes buttons within the {skip} frames of an agent step; find runs "
            f"that this agent can play with: {again}"
        )
    lacking = next((int(byte) for byte in chosen if byte not in known), None)
    if lacking is not None:
        raise ConfigError(
            f"imitate: {path} presses {describe(lacking)}, which is none of this agent's actions "
            f"{config.actions!r}; give actions that have it, or find other runs with: {again}"
        )
    return np.array([known.index(int(byte)) for byte in chosen], np.int64)


def demonstrations(
    sources: Sequence[Source],
    env_kwargs: Mapping[str, Any],
    *,
    gamma: float,
    seed: int,
    most_steps: int | None = None,
) -> Iterator[Demonstration]:
    """Play the runs: each as it is, then some more times with a little chance.

    Args:
        sources: the runs.
        env_kwargs: of the agent's game; levels, chance and limits are not theirs here.
        gamma: discount for each step.
        seed: of the chance.
        most_steps: in all, with which runs are played less often if need be, but all of them once;
            None is no limit but that of :data:`MOST_BYTES`.

    Raises:
        ReplayError: if a run does not reach the flag as it is.
    """
    steps = sum(len(source.actions) for source in sources)
    copies = COPIES if most_steps is None else min(COPIES, max(most_steps // steps - 1, 0))
    for number, (path, run, actions) in enumerate(sources):
        plain = {
            **env_kwargs,
            **{"level": str(run.level), "noop_max": 0, "stall_limit": _NEVER},
            **{"repeat_action_probability": 0.0, "repeat_frame_probability": 0.0},
        }
        with closing(make_vector(plain, 1)) as envs:
            exact = list(_play(envs, actions, gamma, seed, number))
        if not exact:
            raise ReplayError(
                f"The run {path} does not reach the flag in this agent's game; it belongs to "
                "another timing, cartridge or version."
            )
        yield from exact
        copies = min(copies, MOST_BYTES // (steps * exact[0].obs[0].nbytes))
        if copies:
            noops = {"noop_max": env_kwargs.get("noop_max", 0), "repeat_action_probability": STICKY}
            with closing(make_vector({**plain, **noops}, copies)) as envs:
                yield from _play(envs, actions, gamma, seed + number * copies, number)


def _play(
    envs: VectorEnv[Any, Any, Any],
    actions: NDArray[np.int64],
    gamma: float,
    seed: int,
    source: int,
) -> Iterator[Demonstration]:
    """Do the same in all games; those that reach the flag."""
    obs, _ = envs.reset(seed=seed)
    length = np.zeros(envs.num_envs, np.int64)
    playing, won = np.ones_like(length, np.bool_), np.zeros_like(length, np.bool_)
    seen, rewards = [], []
    last: dict[int, NDArray[np.uint8]] = {}
    for action in actions:
        if not playing.any():
            break
        seen.append(np.array(obs))
        obs, reward, terminated, truncated, infos = envs.step(np.full(len(length), action))
        rewards.append(np.array(reward, np.float64))
        ended = terminated | truncated
        info = StepInfo(infos, ended)
        won |= playing & ended & is_success(info.get("ending", ""))
        for game in np.flatnonzero(playing & ended).tolist():
            last[game] = np.array(info.led_to(np.asarray(obs))[game])
        length += playing
        playing &= ~ended
    for game in np.flatnonzero(won).tolist():
        count = int(length[game])
        paid = np.array([reward[game] for reward in rewards[:count]])
        yield Demonstration(
            np.stack([each[game] for each in seen[:count]]),
            actions[:count],
            discounted(paid, gamma),
            source,
            paid.astype(np.float32),
            last[game],
        )


def discounted(reward: NDArray[np.float64], gamma: float) -> NDArray[np.float32]:
    """The discounted sum ``(T,)`` of each reward ``(T,)`` and those after it."""
    found = np.zeros(len(reward) + 1)
    for step in reversed(range(len(reward))):
        found[step] = reward[step] + gamma * found[step + 1]
    return found[:-1].astype(np.float32)
