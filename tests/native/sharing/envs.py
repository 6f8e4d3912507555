"""Single environments."""

from __future__ import annotations

import pickle
import tempfile
import threading
from contextlib import suppress
from copy import deepcopy
from typing import Any

import gymnasium
import numpy as np

from mario_envkit.errors import EmulatorClosed
from mario_envkit.snapshots.context import Context
from tests.native.sharing.cases import case, digest, one_of_two, together


def play(env: gymnasium.Env, steps: int = 300) -> list[str]:
    """Play with random actions from seed 0; everything that the environment says."""
    rng = np.random.default_rng(5)
    said = [digest(*env.reset(seed=0))]
    for _ in range(steps):
        observation, *rest = env.step(int(rng.integers(env.action_space.n)))
        said.append(digest(observation, *rest))
        if rest[1] or rest[2]:
            said.append(digest(*env.reset()))
    return said


def watched_env(env_id: str, **kwargs: Any) -> None:
    """An environment that is rendered and saved plays on as one that is not."""
    alone, watched = (gymnasium.make(env_id, render_mode="rgb_array", **kwargs) for _ in range(2))
    context = Context(watched.unwrapped)
    watched.reset(seed=0)
    assert together(lambda: play(watched), watched.render, context.save) == play(alone)


@case
def env_and_render() -> None:
    """A viewer of a game of which little is drawn."""
    watched_env("MarioTiles-v0")
    watched_env("MarioTrain-v0", level="random", max_pool=True)


@case
def snapshot_env_and_render() -> None:
    """A viewer of a game that goes back now and then."""
    watched_env("MarioSnapshot-v0", checkpoint_interval=60)


@case
def snapshot_env_and_files() -> None:
    """Files of snapshots that are written while new ones are taken, and an end beside a step."""
    with tempfile.TemporaryDirectory() as folder:
        env = gymnasium.make(
            "MarioSnapshot-v0", checkpoint_interval=4, archive=f"{folder}/archive",
            hotspot_path=f"{folder}/deaths.json",
        )  # fmt: skip
        sync_files, get_stats = map(env.get_wrapper_attr, ("sync_files", "get_stats"))
        together(lambda: play(env, 400), sync_files, get_stats)
        closing = threading.Timer(0.2, env.close)
        closing.start()
        with suppress(EmulatorClosed):
            play(env, 10_000)
        closing.join()


@case
def env_and_copies() -> None:
    """Copies of a game, and pickles, while it is played."""
    watched, alone = (gymnasium.make("Mario-v0", disable_env_checker=True) for _ in range(2))
    watched.reset(seed=0)
    game = watched.unwrapped

    def copy() -> None:
        deepcopy(game).close()
        pickle.loads(pickle.dumps(game)).close()
        game.clone_state()

    assert together(lambda: play(watched, 100), copy) == play(alone, 100)


@case
def env_and_two_that_step() -> None:
    """Steps, and resets, of two threads."""
    env, alone = (gymnasium.make("Mario-v0", disable_env_checker=True) for _ in range(2))
    env.reset()
    game = env.unwrapped
    one_of_two(game, lambda: game.step(128), lambda: None)
    assert play(env) == play(alone)


@case
def env_and_close() -> None:
    """One thread closes what the other plays."""
    for _ in range(8):
        env = gymnasium.make("MarioTiles-v0", render_mode="rgb_array", disable_env_checker=True)
        env.reset()

        def work(env: Any = env) -> None:
            for _ in range(10_000):
                try:
                    env.step(1)
                    env.reset()
                except EmulatorClosed:
                    return

        closing = threading.Timer(0.02, env.close)
        closing.start()
        together(work, env.render, allowed=(EmulatorClosed,))
        closing.join()
