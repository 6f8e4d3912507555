"""Every argument of every public constructor works, or is refused in a sentence that names it."""

from __future__ import annotations

import math
from contextlib import closing
from typing import Any

import gymnasium
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mario_envkit.game.rewards as rewards
from mario_envkit import (
    MarioEnv,
    MarioEnvkitError,
    MarioVectorEnv,
    Picture,
    RewardFunction,
    create_snapshot_mario_env,
    make_mario,
)
from mario_envkit.errors import OptionError
from mario_envkit.snapshots import (
    MarioSnapshotVectorEnv,
)
from tests.kit.targets import TARGETS, hostile


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.slow
def test_any_value_works_or_is_refused_in_a_sentence(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # values may be taken for names of files
    target = TARGETS[name]
    names = target.parameters or list(target.base)

    @settings(max_examples=150, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(sorted(set(names))), hostile)
    def check(parameter: str, value: Any) -> None:
        if name == "solve" and parameter in ("seconds", "level"):
            return  # what works is played: see the tests of search
        if parameter == "progress" and callable(value):
            return  # it is called, sooner or later, and what it raises is its own
        try:
            result = target.call(**{**target.base, parameter: value})
            target.use(result)
        except MarioEnvkitError as error:
            text = str(error)
            assert text, f"{parameter} was refused without a word"
            assert "\n" not in text or (isinstance(value, str) and "\n" in value)
            assert len(text) < 700

    check()


def fresh() -> dict[str, Any]:
    """Environments to reset, by name."""
    return {
        "single": make_mario(noop_max=2, stall_limit=9),
        "snapshots": create_snapshot_mario_env(),
        "vector": MarioVectorEnv(2, num_threads=1),
        "snapshot vector": MarioSnapshotVectorEnv(2, num_threads=1),
    }


@pytest.fixture(scope="module")
def environments() -> Any:
    made = fresh()
    yield made
    for env in made.values():
        env.close()


KINDS = ("single", "snapshots", "vector", "snapshot vector")


@pytest.mark.parametrize("kind", KINDS)
def test_any_reset_works_or_is_refused_in_a_sentence(kind, environments):
    env = environments[kind]
    env.reset(seed=0)
    keys = ("level", "start", "true_start", "reset_mask", "levl")

    @settings(max_examples=150)
    @given(st.sampled_from(("seed", "options", *keys)), hostile)
    def check(where: str, value: Any) -> None:
        try:
            env.reset(**({"options": {where: value}} if where in keys else {where: value}))
            assert where != "levl", "there is no such option"
        except MarioEnvkitError:
            pass  # and the environment is as it was
        env.step(np.zeros(2, np.int64) if "vector" in kind else 0)

    check()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"options": {"levels": "1-2"}}, r"options\['levels'\]; did you mean 'level'\?"),
        ({"options": {"true_starts": True}}, "did you mean 'true_start'"),
        ({"options": {"difficulty": 3}}, "there are level"),
        ({"options": {3: 3}}, r"options\[3\]"),
        ({"options": ["level"]}, r"options=\['level'\] is not possible; give a dict"),
        ({"options": "1-1"}, "options='1-1' is not possible"),
        ({"options": {"true_start": "yes"}}, "give True or False"),
        ({"options": {"level": np.array([1.5, 2])}}, "no level"),
        ({"seed": -1}, "seed=-1 is not possible"),
        ({"seed": 1.5}, "seed=1.5 is not possible"),
        ({"seed": True}, "seed=True is not possible"),
        ({"seed": "1"}, "seed='1' is not possible"),
    ],
    ids=str,
)
def test_a_wrong_reset_says_what_is_wrong_and_changes_nothing(kind, arguments, says, environments):
    env = environments[kind]
    env.reset(seed=3)
    with pytest.raises(MarioEnvkitError, match=says):
        env.reset(**arguments)
    env.step(np.zeros(2, np.int64) if "vector" in kind else 0)


@pytest.mark.parametrize("kind", KINDS)
def test_seeds_and_levels_may_be_of_numpy(kind, environments):
    env = environments[kind]
    first, info = env.reset(seed=7, options={"level": "1-2"})
    again, same = env.reset(seed=np.int64(7), options={"level": np.array([1, 2])})
    assert np.array_equal(first, again)
    assert np.array_equal(info["level"], same["level"])


def test_each_seed_of_a_vector_is_checked():
    with closing(MarioVectorEnv(2, num_threads=1)) as env:
        env.reset(seed=np.array([3, 4]))
        env.reset(seed=(None, np.int64(4)))
        with pytest.raises(OptionError, match=r"seed\[1\]=1.5 is not possible"):
            env.reset(seed=[3, 1.5])
        with pytest.raises(OptionError, match="3 seeds for 2 environments"):
            env.reset(seed=np.arange(3))


def test_gymnasiums_own_wrappers_and_vectors_give_no_options_that_are_unknown():
    for mode in ("sync", "vector_entry_point"):
        vector = gymnasium.make_vec("MarioTrain-v0", 2, vectorization_mode=mode)
        with closing(gymnasium.wrappers.vector.RecordEpisodeStatistics(vector)) as envs:
            envs.reset(seed=0)
            envs.reset(options={"reset_mask": np.array([True, False]), "level": "1-2"})
    env = gymnasium.make("MarioTrain-v0")
    env = gymnasium.wrappers.TimeLimit(gymnasium.wrappers.Autoreset(env), 9)
    with closing(gymnasium.wrappers.RecordEpisodeStatistics(env)) as env:
        env.reset(seed=0, options={})


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"frame_skip": 2.5}, "frame_skip=2.5 is not possible; give a whole number"),
        ({"frame_skip": True}, "frame_skip=True is not possible"),
        ({"frame_skip": 2**70}, "frame_skip=1180591620717411303424 is not possible"),
        ({"frame_stack": 10**9}, "frame_stack=1000000000 is not possible"),
        ({"screen_size": (84,)}, r"screen_size=\(84,\) is not possible; give the side"),
        ({"screen_size": 10**9}, "screen_size=1000000000 is not possible"),
        ({"screen_size": "84"}, "screen_size='84' is not possible"),
        ({"grayscale": "no"}, "grayscale='no' is not possible; give True or False"),
        ({"grayscale": 1}, "grayscale=1 is not possible"),
        ({"stall_limit": 1.5}, "stall_limit=1.5 is not possible"),
        ({"repeat_action_probability": math.nan}, "repeat_action_probability=nan"),
        ({"repeat_action_probability": "0.1"}, "repeat_action_probability='0.1'"),
        ({"palette": np.arange(31), "grayscale": True}, "32 values"),
        ({"palette": [0.5] * 32, "grayscale": True}, r"palette\[0\]=0.5 is not possible"),
        ({"actions": b"simple"}, "actions=b'simple' is not possible"),
        ({"actions": np.array([])}, "nothing to do"),
        ({"actions": "complx"}, "actions='complx' does not exist"),
        ({"rom": ""}, "rom='' is not possible"),
        ({"rom": b"mario.nes"}, "rom=b'mario.nes' is not possible; give a path"),
        ({"level": np.array([1.5, 2])}, "no level"),
        ({"level": (1.5, 2)}, r"no level \(1.5, 2\)"),
        ({"observation": "tile"}, "did you mean 'tiles'"),
        ({"reward": "progres"}, "did you mean 'progress'"),
        ({"frameskip": 4}, "unexpected keyword argument 'frameskip'; did you mean 'frame_skip'"),
        ({"screensize": 84}, "did you mean 'screen_size'"),
        ({"picture": Picture()}, "unexpected keyword argument 'picture'"),
        ({"lvl": "1-1"}, "unexpected keyword argument 'lvl'; did you mean 'level'"),
    ],
    ids=str,
)
@pytest.mark.parametrize("make", [make_mario, create_snapshot_mario_env, MarioVectorEnv])
def test_wrong_arguments_are_named(make, arguments, says):
    with pytest.raises(MarioEnvkitError, match=says):
        make(**arguments)


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ({"frame_skip": np.int64(2)}, {"frame_skip": 2}),
        ({"frame_stack": np.array(3)}, {"frame_stack": 3}),
        ({"screen_size": np.int32(42)}, {"screen_size": 42}),
        ({"screen_size": np.array([42, 50])}, {"screen_size": (42, 50)}),
        ({"grayscale": np.bool_(True)}, {"grayscale": True}),
        ({"palette": np.arange(32), "grayscale": True}, {"palette": range(32), "grayscale": True}),
        ({"actions": np.array([["right", "A"], ["left", "B"]])},
         {"actions": [["right", "A"], ["left", "B"]]}),
        ({"repeat_action_probability": np.float32(0.25)}, {"repeat_action_probability": 0.25}),
        ({"noop_max": np.uint8(9)}, {"noop_max": 9}),
        ({"stall_limit": np.int64(5)}, {"stall_limit": 5}),
        ({"level": np.str_("1-2")}, {"level": "1-2"}),
        ({"level": np.array(["1-2", "1-3"])}, {"level": ["1-2", "1-3"]}),
        ({"crop_top": np.int16(32)}, {"crop_top": 32}),
    ],
    ids=str,
)  # fmt: skip
def test_values_of_numpy_are_taken_and_stored_as_plain_ones(given, plain):
    def stored(env: Any) -> list[Any]:
        values = [env.unwrapped._ezpickle_args]
        while isinstance(env, gymnasium.Wrapper):
            values.append(getattr(env, "_saved_kwargs", None))
            env = env.env
        return values

    ours, theirs = make_mario(**given), make_mario(**plain)
    with closing(ours), closing(theirs):
        assert repr(stored(ours)) == repr(stored(theirs))
        np.testing.assert_equal(ours.reset(seed=1), theirs.reset(seed=1))
        np.testing.assert_equal(ours.step(1), theirs.step(1))
    many, alike = MarioVectorEnv(np.int64(2), **given), MarioVectorEnv(2, **plain)
    with closing(many), closing(alike):
        np.testing.assert_equal(many.reset(seed=1), alike.reset(seed=1))
        np.testing.assert_equal(many.step([1, 1]), alike.step(np.array([1, 1])))


def test_levels_of_a_vector_may_be_an_array():
    with closing(MarioVectorEnv(2, levels=np.array(["1-2", "1-3"]), num_threads=1)) as env:
        assert list(env.reset()[1]["level"]) == ["1-2", "1-3"]
    with pytest.raises(OptionError, match="levels='1-1' is not possible"):
        MarioVectorEnv(2, levels="1-1")


def test_numbers_of_numpy_in_rewards_do_not_leave_the_native_core():
    from mario_envkit.vector.reward import compile_reward

    terms = (rewards.Death(np.float64(-5)), rewards.Flag(np.int64(3)))
    assert compile_reward(RewardFunction(list(terms), scale=np.float32(0.5), clip=[-1, 1]))
    for clip in ((1, -1), (-math.inf, 1), (1,), "no", (0, math.nan)):
        with pytest.raises(OptionError, match="clip"):
            RewardFunction(terms, clip=clip)


def test_a_schedule_of_ones_own_that_chooses_no_level():
    class Mine:
        def next(self, rng: np.random.Generator) -> Any:
            return "9-9"

    with closing(MarioEnv(level=Mine())) as env, pytest.raises(MarioEnvkitError, match="'9-9'"):
        env.reset()
