"""Infos: the same keys and types at every step and reset, whatever plays and begins anew."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, VectorEnv

from mario_envkit.curriculum.runs import Run
from mario_envkit.game.endings import DEATH_CAUSES, ENDINGS
from mario_envkit.game.state import STATUS_NAMES
from mario_envkit.wrappers.numeric import START_NAMES, numbers_of
from tests.native.vectors import assert_same

SINGLE: dict[str, dict[str, Any]] = {
    "Mario-v0": {},
    "MarioTrain-v0": {"stall_limit": 12, "repeat_action_probability": 0.25, "noop_max": 5},
    "MarioTrain-v0 as nes-py": {"timing": "nes-py", "max_episode_steps": 40},
    "MarioTrain-v0 nes-py": {"backend": "nes-py", "stall_limit": 30, "noop_max": 5},
    "MarioTiles-v0": {"reward": "progress"},
    "MarioSnapshot-v0": {"checkpoint_interval": 50, "stall_limit": 20},
    "MarioSnapshot-v0 limited": {"checkpoint_interval": 50, "max_episode_steps": 12},
    "MarioSnapshot-v0 on reset": {"checkpoint_interval": 50, "restore": "on_reset"},
    "MarioSnapshot-v0 starts": {"checkpoint_interval": 50, "start_states": 0.5},
    "MarioSnapshot-v0 starts on reset": {
        "checkpoint_interval": 50, "start_states": 0.5, "restore": "on_reset", "reward": "v9",
    },
    "MarioSnapshot-v0 backward": {"backward": None, "checkpoint_interval": 50},
    "mario_envkit/SuperMarioBros-v0": {},
    "mario_envkit/SuperMarioBros-1-2-v0": {"level": ["1-2", "8-4"]},
    "mario_envkit/SuperMarioBros2-v0": {},
    "mario_envkit/SuperMarioBrosRandomStages-v0": {"max_episode_steps": 100},
}  # fmt: skip
"""Ids, and what to make them with."""
MODES = [mode.value for mode in AutoresetMode]


def make(name: str, run: Run, num_envs: int = 0, mode: str = "", **more: Any) -> Any:
    kwargs = {**SINGLE[name], **more}
    if "backward" in kwargs:
        kwargs["backward"] = run
    env_id = name.partition(" ")[0]
    if not num_envs:
        return gymnasium.make(env_id, **kwargs)
    return gymnasium.make_vec(env_id, num_envs=num_envs, autoreset_mode=mode, **kwargs)


def kinds(value: Any) -> Any:
    """Keys, types and dtypes, all the way down; an AssertionError for a None."""
    if isinstance(value, dict):
        return {key: kinds(item) for key, item in value.items()}
    assert value is not None
    if isinstance(value, np.ndarray):
        if value.dtype == object:
            assert {type(item) for item in value.flat} == {str}
        return value.dtype.str, value.shape
    return type(value).__name__


def draw(space: Any, rng: np.random.Generator) -> Any:
    """Mostly to the right, with jumps: deaths, pipes, new ground."""
    count = getattr(space, "n", None) or int(space.nvec[0])
    right = [128, 129, 131] if count == 256 else [1, 2, 3, 4]
    size = getattr(space, "shape", ()) or None
    return rng.choice(right, size) if rng.random() < 0.9 else rng.integers(0, count, size)


@pytest.mark.parametrize("name", SINGLE)
@pytest.mark.parametrize("numeric", [False, True])
def test_single(name, numeric, way):
    env = make(name, way, numeric_info=numeric)
    rng = np.random.default_rng(0)
    _, info = env.reset(seed=0)
    expected, ends = kinds(info), 0
    if numeric:
        assert all(isinstance(value, np.ndarray) for value in info.values())
    for _ in range(60 if "nes-py" in name else 200):  # as a backend that is slow
        *_, terminated, truncated, info = env.step(draw(env.action_space, rng))
        assert kinds(info) == expected
        if terminated or truncated:
            ends += 1
            _, info = env.reset(options={"level": "1-1"} if rng.random() < 0.3 else None)
            assert kinds(info) == expected
    assert ends or "max_episode_steps" not in SINGLE[name]
    assert kinds(env.reset(options={"level": "1-1"})[1]) == expected
    env.close()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", [name for name in SINGLE if "nes-py" not in name])
@pytest.mark.parametrize("numeric", [False, True])
def test_vectors(name, mode, numeric, way):
    envs: VectorEnv = make(name, way, 3, mode, numeric_info=numeric)
    rng = np.random.default_rng(0)
    _, infos = envs.reset(seed=0)
    expected = kinds(infos)
    for number in range(80):
        _, _, terminated, truncated, infos = envs.step(draw(envs.action_space, rng))
        over = terminated | truncated
        final = {key: infos.pop(key) for key in [*infos] if "final_" in key}
        assert kinds(infos) == expected
        assert bool(final) == (mode == "SameStep" and bool(over.any()))
        if final:
            assert kinds(final["final_info"]) == expected
        if number % 7 == 3 and mode == "Disabled":
            over[0] = True
        if mode == "Disabled" and over.any():
            _, infos = envs.reset(options={"reset_mask": over})
            assert kinds(infos) == expected
    assert kinds(envs.reset(options={"reset_mask": np.array([True, False, False])})[1]) == expected
    envs.close()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "name", ["MarioTrain-v0", "MarioSnapshot-v0 limited", "MarioSnapshot-v0 starts"]
)
def test_numbers_of_a_vector_are_those_of_single_environments(name, mode, way):
    kwargs = {**SINGLE[name], "numeric_info": True}
    env_id = name.partition(" ")[0]
    vector = gymnasium.make_vec(env_id, num_envs=3, autoreset_mode=mode, **kwargs)
    singles = gymnasium.make_vec(
        env_id, num_envs=3, vectorization_mode="sync", vector_kwargs={"autoreset_mode": mode},
        **kwargs,
    )  # fmt: skip
    rng = np.random.default_rng(1)
    assert_same(vector.reset(seed=4), singles.reset(seed=4), "reset")
    for number in range(100):
        actions = draw(vector.action_space, rng)
        ours, theirs = vector.step(actions), singles.step(actions)
        assert_same(ours, theirs, f"step {number}")
        over = theirs[2] | theirs[3]
        if mode == "Disabled" and over.any():
            # Gymnasium takes the mask out of the dictionary.
            assert_same(
                vector.reset(options={"reset_mask": over}),
                singles.reset(options={"reset_mask": over}),
                f"reset {number}",
            )
    vector.close()
    singles.close()


def test_texts_become_codes_and_dictionaries_long_keys():
    env = gymnasium.make("MarioSnapshot-v0", start_states=0.5)
    _, info = env.reset(seed=0)
    numbers = numbers_of(info)
    assert numbers.keys() >= {"world", "stage", "reward_parts_distance", "life_lost_info_x_pos"}
    assert "level" not in numbers
    assert STATUS_NAMES[numbers["status"]] == info["status"]
    assert START_NAMES[numbers["start"]] == info["start"]
    for cause in DEATH_CAUSES:
        said = numbers_of({"death_cause": cause, "ending": cause, "died": cause != ""})
        assert DEATH_CAUSES[said["death_cause"]] == ENDINGS[said["ending"]] == cause
        assert said["died"].dtype == bool
    env.close()
