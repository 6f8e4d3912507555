"""Measure a policy: play episodes from true starts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from mario_agents.acting.actor import Actor
from mario_agents.acting.environments import make_vector
from mario_agents.acting.plugin_policy import policy_of
from mario_agents.core.policy import Policy
from mario_agents.evaluation.results import EvalEpisode, EvalProtocol, Evaluation
from mario_envkit import plugins


def evaluate(
    policy: plugins.Policy,
    env_kwargs: Mapping[str, Any],
    protocol: EvalProtocol,
    *,
    max_envs: int = 10,
    make: Callable[..., VectorEnv[Any, Any, Any]] | None = None,
    on_episode: Callable[[], object] | None = None,
) -> Evaluation:
    """Play the episodes of a protocol, up to ``max_envs`` of them at once.

    A policy of a trainer here begins its random numbers with the protocol's seed, so that what it
    played before makes no difference.

    Args:
        policy: the agent.
        env_kwargs: as a trainer's ``env_kwargs`` gives them; the protocol overrides noise.
        protocol: what to play.
        max_envs: environments stepped together.
        make: makes them, instead of :func:`~mario_agents.acting.environments.make_vector`.
        on_episode: called after each episode that counts.

    Raises:
        MarioEnvkitError: if the environment cannot be made.
    """
    count = min(protocol.episodes, max_envs)
    overrides = protocol.env_overrides()
    if protocol.levels:
        if count < protocol.episodes:  # an environment plays the same level in every wave
            count = max(count // len(protocol.levels), 1) * len(protocol.levels)
        overrides["levels"] = [protocol.level_of(number)["level"] for number in range(count)]
    env = (make or make_vector)(env_kwargs, count, **overrides)
    episodes: list[EvalEpisode] = []
    player = policy_of(policy)
    player.seed(protocol.seed)
    try:
        # Wave by wave: letting whichever environment is free start the next episode would count
        # more of the short episodes than of the long ones.
        while len(episodes) < protocol.episodes:
            seed = protocol.seed + len(episodes)
            wanted = min(count, protocol.episodes - len(episodes))
            episodes += _play_wave(
                player, env, wanted, greedy=protocol.greedy, seed=seed, on_episode=on_episode
            )
    finally:
        env.close()
    return Evaluation(protocol, tuple(episodes), full_game=env_kwargs.get("level") == "full")


def _play_wave(
    policy: Policy,
    env: VectorEnv[Any, Any, Any],
    wanted: int,
    *,
    greedy: bool,
    seed: int,
    on_episode: Callable[[], object] | None,
) -> list[EvalEpisode]:
    """An episode in the first ``wanted`` environments; the others, and those over, play on."""
    count = env.num_envs
    actor = Actor(env, policy, seed=seed, mode="greedy" if greedy else "sample")
    begun, best_x = actor.info.get("level", ""), actor.info.get("x_pos", 0)
    path: list[NDArray[np.int64]] = []
    episodes: list[EvalEpisode | None] = [None] * count
    while any(episode is None for episode in episodes[:wanted]):
        ended = actor.collect(count).episodes
        path.append(actor.info.get("x_pos", 0))
        best_x = np.maximum(best_x, path[-1])
        for each in ended:
            i = each.env
            if i >= wanted or episodes[i] is not None:
                continue
            last = {key: actor.info.get(key, "")[i] for key in ("level", "ending")}
            last["stages_cleared"] = actor.info.get("stages_cleared", 0)[i]
            trajectory = hashlib.blake2b(
                b"".join(xs[i].tobytes() for xs in path), digest_size=8
            ).hexdigest()
            episodes[i] = EvalEpisode.ended(
                last, each.reward, best_x[i], each.length, trajectory, begun=begun[i]
            )
            if on_episode is not None:
                on_episode()
    return [episode for episode in episodes[:wanted] if episode is not None]
