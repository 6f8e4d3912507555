"""Stable-Baselines3 over the native vector: what DummyVecEnv says over single environments."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

pytest.importorskip("stable_baselines3", reason="pip install 'mario-envkit[test]' brings it")

from stable_baselines3 import DQN, PPO
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.env_util import is_wrapped
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    VecFrameStack,
    VecMonitor,
    VecNormalize,
    VecTransposeImage,
)

from mario_envkit.errors import AttributeUnavailable, OptionError
from mario_envkit.integrations.sb3 import MarioVecEnv, make_vec_env
from mario_envkit.wrappers import FrameSkip, StallLimit

SMALL: dict[str, Any] = {"screen_size": 36, "level": "1-1", "reward": "progress"}


def act(rng: np.random.Generator, count: int = 3) -> np.ndarray:
    """To the right, mostly: into the first enemy, or over it."""
    return rng.choice([1, 1, 2, 3, 4], count)


@pytest.mark.parametrize(
    ("env_id", "kwargs"),
    [
        ("MarioTrain-v0", {"screen_size": 36, "stall_limit": 8, "reward": "progress"}),
        ("MarioTrain-v0", {"screen_size": 36, "max_episode_steps": 20}),
        ("MarioTiles-v0", {"level": ["1-1", "1-2"], "repeat_action_probability": 0.25}),
        ("MarioSnapshot-v0", {"screen_size": 36, "restore": "on_reset", "start_states": 0.5}),
    ],
    ids=["stall", "time", "tiles", "snapshots"],
)
def test_it_says_what_dummy_vec_env_says(env_id, kwargs):
    ours = make_vec_env(env_id, 3, monitor=False, **kwargs)
    theirs = DummyVecEnv([lambda: gymnasium.make(env_id, **kwargs)] * 3)
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    assert ours.num_envs == theirs.num_envs
    rng, ends = np.random.default_rng(0), 0
    for envs in (ours, theirs):
        envs.seed(7)
    assert np.array_equal(ours.reset(), theirs.reset())
    assert ours.reset_infos == theirs.reset_infos
    for number in range(200):
        actions = act(rng)
        (obs, rewards, dones, infos), expected = ours.step(actions), theirs.step(actions)
        assert np.array_equal(obs, expected[0])
        assert obs.dtype == expected[0].dtype
        assert rewards.tolist() == expected[1].tolist()
        assert (rewards.dtype, dones.dtype) == (expected[1].dtype, expected[2].dtype)
        assert dones.tolist() == expected[2].tolist()
        for done, info, other in zip(dones, infos, expected[3], strict=True):
            terminal = [said.pop("terminal_observation", None) for said in (info, other)]
            assert np.array_equal(*terminal)
            assert (terminal[0] is not None) == done
            if done:
                assert info.pop("is_success") == (info["ending"] == "flag")
            assert info == other
        ends += int(dones.sum())
        assert ours.reset_infos == theirs.reset_infos
        if number == 100:  # options count for one reset
            for envs in (ours, theirs):
                envs.set_options({"level": "4-1"})
            assert np.array_equal(ours.reset(), theirs.reset())
    assert ends > 3
    ours.close()
    theirs.close()


@pytest.mark.parametrize("limit", [None, 40])
def test_a_lost_life_ends_an_episode_although_the_game_goes_on(limit):
    kwargs = {**SMALL, "checkpoint_interval": 30, "max_episode_steps": limit}
    envs = make_vec_env("MarioSnapshot-v0", 3, monitor=False, **kwargs)
    plain = gymnasium.make_vec("MarioSnapshot-v0", num_envs=3, autoreset_mode="SameStep", **kwargs)
    envs.seed(0)
    assert np.array_equal(envs.reset(), plain.reset(seed=[0, 1, 2])[0])
    rng, lost = np.random.default_rng(0), 0
    for _ in range(150):
        actions = act(rng)
        obs, _, dones, infos = envs.step(actions)
        same, _, terminated, truncated, said = plain.step(actions)
        assert np.array_equal(obs, same)
        for i, info in enumerate(infos):
            source, i_over = said, bool(terminated[i] or truncated[i])
            if i_over:
                source = said["final_info"]
            if source["life_lost"][i] and source["snapshot_restored"][i]:
                lost += 1
                assert dones[i]
                assert not info["TimeLimit.truncated"]
                assert info["life_lost"]
                assert np.array_equal(info["terminal_observation"], source["life_lost_obs"][i])
                assert info["x_pos"] == source["life_lost_info"]["x_pos"][i]
                assert envs.reset_infos[i]["x_pos"] == said["x_pos"][i]
            else:
                assert dones[i] == i_over
                assert info["TimeLimit.truncated"] == bool(truncated[i] and not terminated[i])
            assert ("terminal_observation" in info) == dones[i]
            assert not info.keys() & {"life_lost_obs", "life_lost_info", "final_info"}
    assert lost > 3
    envs.close()
    plain.close()


def test_attributes_methods_and_pictures():
    envs = make_vec_env("MarioTrain-v0", 3, 5, render_mode="rgb_array", **SMALL)
    assert isinstance(envs, VecMonitor)
    envs.reset()
    assert envs.get_attr("np_random_seed") == [5, 6, 7]
    assert [str(level) for level in envs.get_attr("level", [0, 2])] == ["1-1", "1-1"]
    assert envs.env_method("get_action_meanings", indices=1)[0][1] == "RIGHT"
    assert envs.has_attr("level")
    assert not envs.has_attr("nonsense")
    with pytest.raises(AttributeUnavailable, match="cannot be set"):
        envs.set_attr("draw", False)
    assert envs.env_is_wrapped(FrameSkip) == [True] * 3
    assert envs.env_is_wrapped(StallLimit, [0]) == [False]
    assert envs.env_is_wrapped(Monitor, 0) == [False]
    assert envs.render_mode == "rgb_array"
    assert envs.render().shape == (2 * 240, 2 * 256, 3)
    assert len(envs.get_images()) == 3
    envs.close()
    envs.close()


def test_what_is_refused():
    with pytest.raises(OptionError, match="make the vector with autoreset_mode='SameStep'"):
        MarioVecEnv(gymnasium.make_vec("MarioTrain-v0", num_envs=2))
    with pytest.raises(OptionError, match="no environment of ours"):
        make_vec_env("CartPole-v1", 2)
    with pytest.raises(OptionError, match="numeric_info=True"):
        make_vec_env("MarioTrain-v0", 2, numeric_info=True)
    with pytest.raises(OptionError, match="n_envs=0 is not possible"):
        make_vec_env("MarioTrain-v0", 0)
    with pytest.raises(OptionError, match="seed='x' is not possible"):
        make_vec_env("MarioTrain-v0", 2, "x")
    envs = make_vec_env("MarioTrain-v0", 2, **SMALL)
    envs.set_options([{"level": "1-1"}, {"level": "1-2"}])
    with pytest.raises(OptionError, match="different options"):
        envs.reset()
    envs.close()


@pytest.mark.parametrize("wrapper", ["stack", "normalize", "monitor", "transpose"])
def test_wrappers_of_the_library(wrapper):
    kwargs = {**SMALL, "frame_stack": 1, "stall_limit": 10}
    if wrapper == "transpose":
        kwargs["grayscale"] = False
    both = [
        make_vec_env("MarioTrain-v0", 2, 3, monitor=False, **kwargs),
        DummyVecEnv([lambda: gymnasium.make("MarioTrain-v0", **kwargs)] * 2),
    ]
    both[1].seed(3)
    wrap = {
        "stack": lambda envs: VecFrameStack(envs, 3),
        "normalize": lambda envs: VecNormalize(envs, gamma=0.9),
        "monitor": VecMonitor,
        "transpose": lambda envs: VecTransposeImage(envs),
    }[wrapper]
    ours, theirs = map(wrap, both)
    assert np.array_equal(ours.reset(), theirs.reset())
    rng = np.random.default_rng(0)
    for _ in range(60):
        actions = act(rng, 2)
        said, expected = ours.step(actions), theirs.step(actions)
        for value, other in zip(said[:3], expected[:3], strict=True):
            assert np.array_equal(value, other)
        for info, other in zip(said[3], expected[3], strict=True):
            episode, known = info.get("episode"), other.get("episode")
            assert (episode is None) == (known is None)
            if episode is not None:
                assert (episode["r"], episode["l"]) == (known["r"], known["l"])
    ours.close()
    theirs.close()


def test_the_librarys_check_of_single_environments():
    for env_id in ("MarioTrain-v0", "MarioTiles-v0", "Mario-v0"):
        env = gymnasium.make(env_id, render_mode="rgb_array")
        check_env(env)
        assert is_wrapped(env, FrameSkip) == (env_id != "Mario-v0")
        env.close()


@pytest.mark.parametrize("algorithm", ["ppo", "dqn"])
def test_algorithms_learn_save_load_and_evaluate(algorithm, tmp_path):
    game = {**SMALL, "max_episode_steps": 30}
    envs = make_vec_env("MarioSnapshot-v0", 2, 0, checkpoint_interval=50, **game)
    kwargs: dict[str, Any] = {"seed": 0, "device": "cpu"}
    if algorithm == "ppo":
        model: Any = PPO("CnnPolicy", envs, n_steps=64, batch_size=64, n_epochs=1, **kwargs)
    else:
        model = DQN("CnnPolicy", envs, buffer_size=200, learning_starts=64, train_freq=16, **kwargs)
    model.learn(128)
    assert model.num_timesteps >= 128
    assert len(model.ep_info_buffer) > 0
    assert len(model.ep_success_buffer) > 0
    path = tmp_path / "model.zip"
    model.save(path)
    again = type(model).load(path, env=envs)
    assert again.observation_space == envs.observation_space
    rewards = [
        evaluate_policy(
            each, make_vec_env("MarioTrain-v0", 2, 0, stall_limit=20, **SMALL), 2,
            return_episode_rewards=True,
        )
        for each in (model, again)
    ]  # fmt: skip
    assert rewards[0] == rewards[1]
    envs.close()
