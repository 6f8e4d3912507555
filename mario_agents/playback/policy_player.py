"""Episodes that a policy plays, with every frame rendered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import gymnasium
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from mario_agents.acting.actor import Actor
from mario_agents.acting.plugin_policy import policy_of
from mario_agents.core.types import Step
from mario_agents.evaluation.results import EvalEpisode
from mario_agents.playback.player import FrameTap, OneEpisode
from mario_envkit.plugins import Policy


def play_together(
    policy: Policy,
    games: Sequence[OneEpisode],
    *,
    greedy: bool,
    seed: int,
    sink: Callable[[Step], object] | None = None,
) -> Iterator[None]:
    """Play all games at the same time until the last one is over; yields after the reset and after
    every step. Game ``i`` is seeded with ``seed + i``, the policy's random numbers with ``seed``;
    ``sink`` gets each step of all of them."""
    waiting = iter(games)
    envs = SyncVectorEnv(
        [lambda: next(waiting)] * len(games), autoreset_mode=AutoresetMode.SAME_STEP
    )
    player = policy_of(policy)
    player.seed(seed)
    actor = Actor(envs, player, seed=seed, mode="greedy" if greedy else "sample")
    yield
    while not all(game.over for game in games):
        actor.collect(len(games), sink=sink)
        yield


def play_episode(
    policy: Policy,
    env: gymnasium.Env[Any, Any],
    *,
    greedy: bool,
    seed: int,
    tap: FrameTap | None = None,
    visit: Callable[[Mapping[str, Any]], object] | None = None,
    max_steps: int | None = None,
) -> EvalEpisode:
    """Play one episode in a single environment.

    Args:
        policy, env, greedy, seed: who plays what, and how.
        tap, visit: see :class:`OneEpisode`.
        max_steps: agent steps after which the episode is left, as "stalled".
    """
    game = OneEpisode(env, tap, visit)
    for _ in play_together(policy, [game], greedy=greedy, seed=seed):
        if game.steps == max_steps:
            break
    return game.episode()
