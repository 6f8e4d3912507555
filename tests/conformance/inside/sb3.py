"""Stable-Baselines3 and its contributions: over their own vectors, and over the native one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from sb3_contrib import QRDQN, RecurrentPPO
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.env_util import make_vec_env as make_theirs
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    SubprocVecEnv,
    VecEnv,
    VecFrameStack,
    VecMonitor,
    VecNormalize,
    VecVideoRecorder,
)

import mario_envkit  # noqa: F401 - registers the ids
from mario_envkit.integrations.sb3 import make_vec_env

GAME: dict[str, Any] = {"level": "1-1", "screen_size": 36, "max_episode_steps": 20}
SEEDED: dict[str, Any] = {"seed": 0, "device": "cpu"}


def make_env() -> gym.Env[Any, Any]:
    return gym.make("mario_envkit:MarioTrain-v0", **GAME)


def learn(envs: VecEnv, **kwargs: Any) -> PPO:
    model = PPO("CnnPolicy", envs, n_steps=32, batch_size=32, n_epochs=1, **SEEDED, **kwargs)
    model.learn(64)
    assert model.num_timesteps >= 64
    assert len(model.ep_info_buffer) > 0
    return model


@pytest.mark.parametrize("kind", ["dummy", "spawn", "forkserver", "native"])
def test_ppo_over_every_vector(kind: str, tmp_path: Path) -> None:
    if kind == "dummy":
        envs: VecEnv = VecMonitor(DummyVecEnv([make_env] * 2))
    elif kind == "native":
        envs = make_vec_env("MarioTrain-v0", 2, 0, **GAME)
    else:
        envs = VecMonitor(SubprocVecEnv([make_env] * 2, start_method=kind))
    model = learn(envs)
    model.save(tmp_path / "model.zip")
    again = PPO.load(tmp_path / "model.zip", env=envs, device="cpu")
    observation = envs.reset()
    ours, _ = model.predict(observation, deterministic=True)
    assert ours.tolist() == again.predict(observation, deterministic=True)[0].tolist()
    envs.close()


@pytest.mark.parametrize("make", [make_theirs, make_vec_env], ids=["theirs", "native"])
def test_film(make: Any, tmp_path: Path) -> None:
    kwargs = {**GAME, "render_mode": "rgb_array"}
    if make is make_theirs:
        envs = make("MarioTrain-v0", 2, seed=0, env_kwargs=kwargs)
    else:
        envs = make("MarioTrain-v0", 2, 0, **kwargs)
    envs = VecVideoRecorder(
        envs, str(tmp_path), record_video_trigger=lambda step: step == 0, video_length=20
    )
    learn(envs)
    envs.close()
    (film,) = tmp_path.glob("*.mp4")
    assert film.stat().st_size > 1000


def test_eval_callback_keeps_the_best(tmp_path: Path) -> None:
    envs = make_vec_env("MarioTrain-v0", 2, 0, **GAME)
    others = make_vec_env("MarioTrain-v0", 1, 1, **GAME)
    callback = EvalCallback(
        others, n_eval_episodes=2, eval_freq=16, log_path=str(tmp_path),
        best_model_save_path=str(tmp_path), verbose=0,
    )  # fmt: skip
    model = PPO("CnnPolicy", envs, n_steps=32, batch_size=32, n_epochs=1, **SEEDED)
    model.learn(64, callback=callback)
    assert callback.last_mean_reward > float("-inf")
    assert callback._is_success_buffer == [False, False]  # ``is_success`` is in our infos
    assert (tmp_path / "best_model.zip").is_file()
    for each in (envs, others):
        each.close()


def test_recurrent_ppo() -> None:
    envs = make_vec_env("MarioTrain-v0", 2, 0, **GAME)
    model = RecurrentPPO(
        "CnnLstmPolicy", envs, n_steps=16, batch_size=16, n_epochs=1, **SEEDED,
        policy_kwargs={"lstm_hidden_size": 32},
    )  # fmt: skip
    model.learn(64)
    action, state = model.predict(envs.reset(), deterministic=True)
    assert action.shape == (2,)
    assert state is not None
    envs.close()


@pytest.mark.parametrize("algorithm", [A2C, DQN, QRDQN], ids=lambda kind: kind.__name__)
def test_other_algorithms_practise_from_snapshots(algorithm: Any) -> None:
    envs = make_vec_env("MarioSnapshot-v0", 2, 0, checkpoint_interval=50, **GAME)
    kwargs = {} if algorithm is A2C else {"buffer_size": 200, "learning_starts": 32}
    model = algorithm("CnnPolicy", envs, **SEEDED, **kwargs)
    model.learn(96)
    assert len(model.ep_success_buffer) > 0
    envs.close()


def test_their_wrappers_of_vectors() -> None:
    envs = make_vec_env("MarioTrain-v0", 2, 0, **{**GAME, "frame_stack": 1, "grayscale": False})
    stacked = VecFrameStack(VecNormalize(envs, norm_obs=False, clip_reward=5.0), 4)
    assert stacked.observation_space.shape == (36, 36, 12)
    learn(stacked)
    stacked.close()


def test_the_snippet_of_the_documents(run_snippet: Any) -> None:
    names = run_snippet()
    assert names["model"].num_timesteps >= 128
    for envs in (names["envs"], names["others"]):
        envs.close()
