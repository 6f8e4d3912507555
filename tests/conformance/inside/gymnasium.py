"""Gymnasium itself: its wrappers, its checks, and its vector of processes however they begin."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import wrappers
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.wrappers import vector as vector_wrappers

import mario_envkit  # noqa: F401 - registers the ids

GAME: dict[str, Any] = {"level": "1-1", "screen_size": 42, "max_episode_steps": 15}
FLAT: dict[str, Any] = {"frame_stack": 1, **GAME}
COLOURS: dict[str, Any] = {"grayscale": False, **FLAT}
NUMBERS: dict[str, Any] = {"numeric_info": True, **GAME}

Wrap = Callable[[Any], Any]


def floats(low: float, high: float, shape: tuple[int, ...]) -> gym.spaces.Box:
    return gym.spaces.Box(low, high, shape, np.float32)


# -- of single environments --------------------------------------------------------------------

SINGLE: dict[str, tuple[dict[str, Any], Wrap]] = {
    "AddRenderObservation": (GAME, lambda e: wrappers.AddRenderObservation(e, render_only=False)),
    "AddWhiteNoise": (GAME, lambda e: wrappers.AddWhiteNoise(e, 0.1)),
    "ArrayConversion": (
        GAME, lambda e: wrappers.ArrayConversion(e, env_xp=np, target_xp=np),
    ),
    "Autoreset": (GAME, wrappers.Autoreset),
    "ClipReward": (GAME, lambda e: wrappers.ClipReward(e, -1, 1)),
    "DelayObservation": (GAME, lambda e: wrappers.DelayObservation(e, 2)),
    "DtypeObservation": (GAME, lambda e: wrappers.DtypeObservation(e, np.float32)),
    "FlattenObservation": (GAME, wrappers.FlattenObservation),
    "FrameStackObservation": (FLAT, lambda e: wrappers.FrameStackObservation(e, 4)),
    "GrayscaleObservation": (COLOURS, wrappers.GrayscaleObservation),
    "HumanRendering": (GAME, wrappers.HumanRendering),
    "MaxAndSkipObservation": (GAME, wrappers.MaxAndSkipObservation),
    "NormalizeObservation": (GAME, wrappers.NormalizeObservation),
    "NormalizeReward": (GAME, wrappers.NormalizeReward),
    "NumpyToTorch": (GAME, wrappers.NumpyToTorch),
    "ObstructView": (GAME, lambda e: wrappers.ObstructView(e, 0.5, obstruction_width=8)),
    "OrderEnforcing": (GAME, wrappers.OrderEnforcing),
    "PassiveEnvChecker": (GAME, wrappers.PassiveEnvChecker),
    "RecordEpisodeStatistics": (GAME, wrappers.RecordEpisodeStatistics),
    "RenderCollection": (GAME, wrappers.RenderCollection),
    "RepeatAction": (GAME, lambda e: wrappers.RepeatAction(e, num_repeats=2)),
    "RescaleObservation": (
        GAME,
        lambda e: wrappers.RescaleObservation(wrappers.DtypeObservation(e, np.float32), 0, 1),
    ),
    "ReshapeObservation": (GAME, lambda e: wrappers.ReshapeObservation(e, (4 * 42, 42))),
    "ResizeObservation": (COLOURS, lambda e: wrappers.ResizeObservation(e, (36, 36))),
    "StickyAction": (GAME, lambda e: wrappers.StickyAction(e, 0.25)),
    "TimeAwareObservation": (GAME, lambda e: wrappers.TimeAwareObservation(e, flatten=False)),
    "TimeLimit": (GAME, lambda e: wrappers.TimeLimit(e, 5)),
    "TransformAction": (
        GAME, lambda e: wrappers.TransformAction(e, lambda action: 6 - action, e.action_space),
    ),
    "TransformObservation": (
        GAME,
        lambda e: wrappers.TransformObservation(
            e, lambda picture: picture / np.float32(255), floats(0, 1, (4, 42, 42))
        ),
    ),
    "TransformReward": (GAME, lambda e: wrappers.TransformReward(e, lambda reward: reward / 15)),
}  # fmt: skip
ELSEWHERE = {
    "RecordVideo": "has a test of its own",
    "FilterObservation": "for observations that are dictionaries or tuples",
    "DiscretizeObservation": "for observations of a few numbers",
    "ClipAction": "for actions that are no integers",
    "RescaleAction": "for actions that are no integers",
    "DiscretizeAction": "for actions that are no integers",
    "AtariPreprocessing": "for the Arcade Learning Environment",
    "JaxToNumpy": "for environments of JAX",
    "JaxToTorch": "for environments of JAX",
    "vector": "a module",
    "VectorizeTransformObservation": "is how others are made",
    "VectorizeTransformAction": "is how others are made",
    "VectorizeTransformReward": "is how others are made",
}


def play(env: Any, steps: int = 40) -> int:
    """Play one game or many, and look at everything that is said; how many episodes have ended."""
    env.action_space.seed(0)
    observation, _ = env.reset(seed=0)
    ends = 0
    for _ in range(steps):
        if isinstance(observation, np.ndarray):
            assert observation in env.observation_space
        observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        assert np.isfinite(np.asarray(reward, float)).all()
        over = np.asarray(terminated | truncated)
        ends += int(over.sum())
        if over.any() and not isinstance(env, (wrappers.Autoreset, VectorEnv)):
            observation, _ = env.reset()
    return ends


def test_every_wrapper_is_tried_or_does_not_apply() -> None:
    assert {*wrappers.__all__} == {*SINGLE, *ELSEWHERE} & {*wrappers.__all__}
    assert {*vector_wrappers.__all__} == {*MANY, *ELSEWHERE} & {*vector_wrappers.__all__}


@pytest.mark.parametrize("name", SINGLE)
def test_wrapper(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")  # a window without a screen
    kwargs, wrap = SINGLE[name]
    env = wrap(gym.make("MarioTrain-v0", render_mode="rgb_array", **kwargs))
    assert isinstance(env, getattr(wrappers, name))
    assert play(env) > 0
    env.close()


def test_film(tmp_path: Path) -> None:
    env = gym.make("MarioTrain-v0", render_mode="rgb_array", **GAME)
    env = wrappers.RecordVideo(
        env, str(tmp_path / "films"), episode_trigger=lambda number: number == 0
    )
    assert play(env, 60) > 0
    env.close()
    (film,) = tmp_path.glob("films/*.mp4")
    assert film.stat().st_size > 1000


@pytest.mark.parametrize("env_id", ["Mario-v0", "MarioTrain-v0", "MarioTiles-v0"])
def test_check(env_id: str) -> None:
    env = gym.make(env_id, render_mode="rgb_array")
    check_env(env.unwrapped)
    env.close()


# -- of vectors --------------------------------------------------------------------------------

MANY: dict[str, tuple[dict[str, Any], Wrap]] = {
    "ArrayConversion": (
        NUMBERS, lambda e: vector_wrappers.ArrayConversion(e, env_xp=np, target_xp=np),
    ),
    "ClipReward": (GAME, lambda e: vector_wrappers.ClipReward(e, -1, 1)),
    "DictInfoToList": (GAME, vector_wrappers.DictInfoToList),
    "DtypeObservation": (GAME, lambda e: vector_wrappers.DtypeObservation(e, np.float32)),
    "FlattenObservation": (GAME, vector_wrappers.FlattenObservation),
    "GrayscaleObservation": (COLOURS, vector_wrappers.GrayscaleObservation),
    "HumanRendering": (GAME, vector_wrappers.HumanRendering),
    "NormalizeObservation": (GAME, vector_wrappers.NormalizeObservation),
    "NormalizeReward": (GAME, vector_wrappers.NormalizeReward),
    "NumpyToTorch": (NUMBERS, vector_wrappers.NumpyToTorch),
    "RecordEpisodeStatistics": (GAME, vector_wrappers.RecordEpisodeStatistics),
    "RescaleObservation": (
        GAME,
        lambda e: vector_wrappers.RescaleObservation(
            vector_wrappers.DtypeObservation(e, np.float32), 0, 1
        ),
    ),
    "ReshapeObservation": (GAME, lambda e: vector_wrappers.ReshapeObservation(e, (4 * 42, 42))),
    "ResizeObservation": (COLOURS, lambda e: vector_wrappers.ResizeObservation(e, (36, 36))),
    "TransformAction": (
        GAME, lambda e: vector_wrappers.TransformAction(e, lambda actions: 6 - actions),
    ),
    "TransformObservation": (
        GAME,
        lambda e: vector_wrappers.TransformObservation(
            e, lambda pictures: pictures / np.float32(255), floats(0, 1, (2, 4, 42, 42)),
            floats(0, 1, (4, 42, 42)),
        ),
    ),
    "TransformReward": (GAME, lambda e: vector_wrappers.TransformReward(e, lambda r: r / 15)),
}  # fmt: skip


@pytest.mark.parametrize("name", MANY)
def test_vector_wrapper(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    kwargs, wrap = MANY[name]
    envs = wrap(gym.make_vec("MarioTrain-v0", num_envs=2, render_mode="rgb_array", **kwargs))
    assert isinstance(envs, getattr(vector_wrappers, name))
    assert play(envs) > 0
    envs.close()


def test_film_of_a_vector(tmp_path: Path) -> None:
    envs = gym.make_vec("MarioTrain-v0", num_envs=2, render_mode="rgb_array", **GAME)
    envs = vector_wrappers.RecordVideo(
        envs, str(tmp_path / "films"), episode_trigger=lambda n: n == 0
    )
    assert play(envs, 60) > 0
    envs.close()
    assert any(film.stat().st_size > 1000 for film in tmp_path.glob("films/*.mp4"))


class Make:
    """Makes an environment; can be pickled, for processes that are no forks."""

    def __init__(self, env_id: str) -> None:
        self.env_id = env_id

    def __call__(self) -> gym.Env[Any, Any]:
        return gym.make(f"mario_envkit:{self.env_id}", **GAME)


@pytest.mark.parametrize(
    ("env_id", "context", "shared_memory"),
    [("MarioTrain-v0", "spawn", True), ("MarioSnapshot-v0", "forkserver", False)],
)
def test_async_vector(env_id: str, context: str, shared_memory: bool) -> None:
    """Bit for bit what the environments say in one process."""
    kinds: list[tuple[Any, dict[str, Any]]] = [
        (AsyncVectorEnv, {"context": context, "shared_memory": shared_memory}),
        (SyncVectorEnv, {}),
    ]
    made = [
        kind([Make(env_id)] * 2, autoreset_mode=AutoresetMode.SAME_STEP, **kwargs)
        for kind, kwargs in kinds
    ]
    first = [envs.reset(seed=[3, 4]) for envs in made]
    assert np.array_equal(first[0][0], first[1][0])
    rng, ends = np.random.default_rng(0), 0
    for _ in range(50):
        actions = rng.integers(0, 7, 2)
        ours, theirs = (envs.step(actions) for envs in made)
        for value, other in zip(ours[:4], theirs[:4], strict=True):
            assert np.array_equal(value, other)
        assert np.array_equal(ours[4]["x_pos"], theirs[4]["x_pos"])
        ends += int((ours[2] | ours[3]).sum())
    assert ends > 0
    for envs in made:
        envs.close()
