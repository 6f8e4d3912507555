"""What Gymnasium, and code written for it, asks environments for beside reset and step."""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

import mario_envkit
from mario_envkit.curriculum.schedule import OnSuccess
from mario_envkit.emulator.rom import find_rom
from mario_envkit.errors import AttributeUnavailable, MarioEnvkitError, OptionError
from mario_envkit.game.levels import Level
from mario_envkit.game.reward_options import resolve_reward
from mario_envkit.game.rewards import REWARDS, Death, Flag, Progress, RewardFunction
from mario_envkit.snapshots import SnapshotArchive

IDS = (
    "Mario-v0", "MarioTrain-v0", "MarioTiles-v0", "MarioSnapshot-v0",
    "mario_envkit/SuperMarioBros-v0", "mario_envkit/SuperMarioBros-1-2-v0",
    "mario_envkit/SuperMarioBros2-v0", "mario_envkit/SuperMarioBrosRandomStages-v0",
)  # fmt: skip
"""One of each kind."""


@pytest.fixture
def no_display(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("pygame", ["pygame", "no pygame"])
@pytest.mark.parametrize("env_id", IDS)
def test_check_env_of_the_bare_environment_without_a_display(
    env_id, pygame, no_display, monkeypatch
):
    if pygame == "no pygame":
        monkeypatch.setitem(sys.modules, "pygame", None)
    env = gymnasium.make(env_id)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*out of date.*")
        check_env(env.unwrapped)
    env.close()


def test_a_display_is_offered_where_there_is_one(monkeypatch):
    pytest.importorskip("pygame")
    monkeypatch.setenv("DISPLAY", ":0")
    assert gymnasium.make("Mario-v0").metadata["render_modes"] == ["rgb_array", "human"]


# -- specifications as JSON --------------------------------------------------------------------

REWARD = RewardFunction((Progress(per_area=True), Flag(50), Death(-20)), scale=0.1, clip=(-1, 1))
OPTIONS: dict[str, Any] = {
    "game": "lost_levels",
    "level": (1, 2),
    "actions": (("right", "A"), ()),
    "reward": REWARD,
    "observation": "ram",
    "frame_skip": 3,
    "max_pool": True,
    "frame_stack": 3,
    "screen_size": (42, 60),
    "grayscale": True,
    "crop_top": 32,
    "palette": tuple(range(0, 64, 2)),
    "reward_weights": {"death": 25, "warp": 2.5},
    "show_buttons": False,
    "show_level": False,
    "repeat_action_probability": 0.25,
    "repeat_frame_probability": 0.25,
    "blank_probability": 0.25,
    "noop_max": 5,
    "stall_limit": 50,
    "numeric_info": True,
    "backend": "native",
    "timing": "nes-py",
    "rom_variant": "vanilla",
    "render_mode": "rgb_array",
    "end_on_exit": False,
    "rom_unknown": "allow",
    "max_episode_steps": 9,
}
SNAPSHOT_OPTIONS: dict[str, Any] = {
    "checkpoint_interval": 9, "max_restores_without_progress": 1, "restore": "on_reset",
    "restore_noise": True, "start_states": 0.5,
}  # fmt: skip
VECTOR_OPTIONS: dict[str, Any] = {
    "levels": [(1, 1), "1-2..1-3"], "num_threads": 1, "copy": False,
    "autoreset_mode": AutoresetMode.SAME_STEP,
}  # fmt: skip
LEVELS = [(1, 1), [1, 1], Level(1, 2), [(1, 1), (1, 2)], "full", "on-success:1-1..1-4"]


def again(env: Any, make: Any = gymnasium.make) -> Any:
    return make(EnvSpec.from_json(env.spec.to_json()))


def assert_alike(env: Any, other: Any, act: Any) -> None:
    for made in (env, other):
        assert made.spec is not None
    assert other.spec.to_json() == env.spec.to_json()
    said = [[made.reset(seed=3), *(made.step(act) for _ in range(5))] for made in (env, other)]
    for ours, theirs in zip(*said, strict=True):
        assert np.array_equal(ours[0], theirs[0])
        assert str(ours[1:]) == str(theirs[1:])
    for made in (env, other):
        made.close()


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("vector", [False, True])
def test_json_of_all_ids(env_id, vector):
    if vector:
        env = gymnasium.make_vec(env_id, num_envs=2)
        assert_alike(env, again(env, gymnasium.make_vec), np.array([1, 0]))
    else:
        env = gymnasium.make(env_id)
        assert_alike(env, again(env), 1)


@pytest.mark.parametrize("env_id", ["MarioTrain-v0", "MarioSnapshot-v0"])
@pytest.mark.parametrize("name", OPTIONS)
def test_json_of_all_arguments(env_id, name):
    kwargs = {name: OPTIONS[name]}
    env = gymnasium.make(env_id, **kwargs)
    assert_alike(env, again(env), 1)
    kwargs.pop("backend", None)
    env = gymnasium.make_vec(env_id, num_envs=2, **kwargs)
    assert_alike(env, again(env, gymnasium.make_vec), np.array([1, 0]))


def test_the_arguments_above_are_all_there_are():
    import inspect

    from mario_envkit.registration import make_mario
    from mario_envkit.snapshots import MarioSnapshotVectorEnv, create_snapshot_mario_env
    from mario_envkit.vector import MarioVectorEnv

    def names(*functions: Any) -> set[str]:
        return {name for each in functions for name in inspect.signature(each).parameters}

    known = {*OPTIONS, *SNAPSHOT_OPTIONS, *VECTOR_OPTIONS, *PATHS, "env_kwargs", "kwargs"}
    apart = {"picture", "num_envs"}
    # ``picture`` is no argument of an id; the others are numbers, flags and words.
    every = names(
        mario_envkit.MarioEnv, make_mario, create_snapshot_mario_env, MarioVectorEnv,
        MarioSnapshotVectorEnv,
    )  # fmt: skip
    assert every - known - apart == set()


@pytest.mark.parametrize("level", LEVELS, ids=str)
def test_json_of_levels(level):
    env = gymnasium.make("MarioTrain-v0", level=level)
    assert_alike(env, again(env), 1)


@pytest.mark.parametrize("name", SNAPSHOT_OPTIONS)
def test_json_of_the_arguments_of_snapshots(name):
    env = gymnasium.make("MarioSnapshot-v0", **{name: SNAPSHOT_OPTIONS[name]})
    assert_alike(env, again(env), 1)


@pytest.mark.parametrize("name", VECTOR_OPTIONS)
def test_json_of_the_arguments_of_vectors(name):
    env = gymnasium.make_vec("MarioTrain-v0", num_envs=2, **{name: VECTOR_OPTIONS[name]})
    assert_alike(env, again(env, gymnasium.make_vec), np.array([1, 0]))


PATHS = ("rom", "hotspot_path", "archive", "backward", "hotspots")


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("vector", [False, True])
def test_json_of_paths(name, vector, way, tmp_path):
    path: Path = tmp_path / "here"
    kwargs: dict[str, Any] = {name: path}
    if name == "rom":
        path.write_bytes(find_rom().data)
    elif name == "hotspots":
        kwargs = {"hotspots": "read", "hotspot_path": path}
    elif name == "backward":
        way.save(path)
    if vector:
        env = gymnasium.make_vec("MarioSnapshot-v0", num_envs=2, **kwargs)
        assert_alike(env, again(env, gymnasium.make_vec), np.array([1, 0]))
    else:
        env = gymnasium.make("MarioSnapshot-v0", **kwargs)
        assert_alike(env, again(env), 1)


@pytest.mark.parametrize(
    ("env_id", "name", "value"),
    [
        ("MarioTrain-v0", "level", OnSuccess([Level(1, 1)])),
        ("MarioSnapshot-v0", "archive", SnapshotArchive()),
        ("MarioSnapshot-v0", "backward", None),
    ],
)
def test_what_json_cannot_hold_is_named(env_id, name, value, way):
    value = way if value is None else value
    env = gymnasium.make(env_id, **{name: value})
    envs = gymnasium.make_vec(env_id, num_envs=2, **{name: value})
    for made in (env, envs):
        with pytest.raises(OptionError, match=rf"{name}=.* cannot be written as JSON"):
            made.spec.to_json()
        made.close()


# -- rewards as dictionaries -------------------------------------------------------------------


@dataclass(frozen=True)
class Jumps:
    """A term of somebody else."""

    weight: float
    name: str = "jumps"

    def start(self, state: Any) -> tuple[Any, ...]:
        return ()

    def __call__(self, memory: Any, state: Any) -> tuple[Any, tuple[Any, ...]]:
        return self.weight * (state.y_pos > 100), ()


class NoDataclass(Jumps):
    name = "other"

    def __init__(self) -> None:
        pass


def test_a_reward_function_is_the_dictionary_that_gymnasium_writes():
    for reward in (*REWARDS.values(), RewardFunction((Progress(), Jumps(0.5)))):
        spec = EnvSpec("X-v0", kwargs={"reward": reward})
        written = EnvSpec.from_json(spec.to_json()).kwargs["reward"]
        assert resolve_reward(written) == reward
        assert [type(term) for term in resolve_reward(written).terms] == [
            type(term) for term in reward.terms
        ]


@pytest.mark.parametrize(
    "damage",
    [
        {"types": []}, {"types": ["os:getcwd"] * 3}, {"types": ["nowhere:X"] * 3}, {"clip": 5},
        {"terms": [{}, {}, {"penalty": 1, "x": 2}]}, {"terms": None},
    ],
)  # fmt: skip
def test_other_dictionaries_are_refused(damage):
    written = EnvSpec.from_json(EnvSpec("X-v0", kwargs={"reward": REWARD}).to_json()).kwargs
    for wrong in ({**written["reward"], **damage}, {}):
        with pytest.raises(OptionError, match="give the RewardFunction itself"):
            resolve_reward(wrong)


# -- vectors -----------------------------------------------------------------------------------


def both(env_id: str, **kwargs: Any) -> tuple[Any, SyncVectorEnv]:
    vector = gymnasium.make_vec(env_id, num_envs=2, **kwargs)
    singles = gymnasium.make_vec(env_id, num_envs=2, vectorization_mode="sync", **kwargs)
    return vector, singles


def test_the_vector_has_what_gymnasiums_have():
    vector, singles = both("MarioTrain-v0", render_mode="rgb_array")
    missing = []
    for kind in (SyncVectorEnv, AsyncVectorEnv):
        instance = singles if kind is SyncVectorEnv else None
        for name in {*dir(kind), *(() if instance is None else vars(instance))}:
            if not name.startswith("_") and not hasattr(vector, name):
                missing.append(name)
                with pytest.raises(AttributeUnavailable, match="in the native core"):
                    getattr(vector, name)
    assert set(missing) <= {
        "env_fns", "envs", "observation_mode", "call_async", "call_wait", "reset_async",
        "reset_wait", "shared_memory", "processes",
    }  # fmt: skip
    for name in ("autoreset_mode", "num_envs", "render_mode", "closed", "copy", "metadata"):
        assert getattr(vector, name) == getattr(singles, name), name
    assert vector.unwrapped is vector
    for space in ("single_observation_space", "single_action_space", "action_space"):
        assert getattr(vector, space) == getattr(singles, space)
    assert vector.spec.id == singles.spec.id == "MarioTrain-v0"
    for envs in (vector, singles):
        envs.close()
        assert envs.closed


@pytest.mark.parametrize("env_id", ["MarioTrain-v0", "MarioSnapshot-v0"])
def test_call_and_get_attr_answer_for_each_game(env_id):
    vector, singles = both(env_id, level=["1-1", "1-2"], render_mode="rgb_array")
    for envs in (vector, singles):
        envs.reset(seed=[5, 7])
    names = ["level", "np_random_seed", "action_space", "observation_space", "render_mode",
             "get_action_meanings", "picture", "game"]  # fmt: skip
    if env_id == "MarioSnapshot-v0":
        names += ["total_saves", "total_restores", "get_stats"]
    for name in names:
        assert vector.get_attr(name) == singles.get_attr(name), name
        assert vector.call(name) == singles.call(name), name
    # Gymnasium before 1.4 writes the mode into the first environment's own.
    assert vector.get_attr("metadata")[1] == singles.get_attr("metadata")[1]
    assert vector.np_random_seed == singles.np_random_seed == (5, 7)
    draws = [[rng.random() for rng in envs.np_random] for envs in (vector, singles)]
    assert draws[0] == draws[1]
    for ours, theirs in zip(vector.call("render"), singles.call("render"), strict=True):
        assert np.array_equal(ours, theirs)
    for wrong in ("emulator", "nonsense", "_memory"):
        with pytest.raises(AttributeUnavailable, match=f"have no '{wrong}'"):
            vector.get_attr(wrong)
    with pytest.raises(AttributeUnavailable, match="cannot be set"):
        vector.set_attr("draw", False)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        vector.nonsense  # noqa: B018
    for envs in (vector, singles):
        envs.close()


def test_graphics_variants_that_are_not_installed_say_where_they_are(monkeypatch):
    monkeypatch.setattr("mario_envkit.emulator.rom.installed_roms", lambda: ())
    with pytest.raises(MarioEnvkitError, match=r"-v2\) ship with .* 7.4 only, .* below 3.13"):
        gymnasium.make("mario_envkit/SuperMarioBros-1-1-v2")
    with pytest.raises(MarioEnvkitError, match="pip install gym-super-mario-bros, or pass rom"):
        gymnasium.make("mario_envkit/SuperMarioBros-1-1-v0")
