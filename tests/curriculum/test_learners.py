"""Learners and vectors that know nothing of us take MarioSnapshot-v0 as it is."""

from __future__ import annotations

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import mario_envkit  # noqa: F401  (registers the ids)
from mario_envkit.curriculum.backward import BackwardStarts
from mario_envkit.curriculum.start_states import StartStateSampler

SMALL = dict(
    screen_size=(36, 36), checkpoint_interval=60, start_states=0.5, max_restores_without_progress=1
)


@pytest.mark.parametrize("kind", ["share", "sampler", "backward"])
@pytest.mark.parametrize("restore", ["in_episode", "on_reset"])
def test_gymnasium_finds_nothing_to_complain_about(kind, restore, way, monkeypatch):
    pytest.importorskip("pygame", reason="the check opens a window")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    kwargs = {
        "share": {"start_states": 0.5},
        "sampler": {"start_states": StartStateSampler(0.2, jitter=0)},
        "backward": {"backward": way},
    }[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*is different from the unwrapped version.*")
        check_env(gymnasium.make("MarioSnapshot-v0", restore=restore, **kwargs))


@pytest.mark.parametrize("restore", ["in_episode", "on_reset"])
def test_sync_vector_environments(restore):
    envs = gymnasium.vector.SyncVectorEnv(
        [lambda: gymnasium.make("MarioSnapshot-v0", restore=restore, **SMALL)] * 3
    )
    _, infos = envs.reset(seed=0)
    rng = np.random.default_rng(0)
    starts = set(infos["start"])
    for _ in range(500):
        observations, *_, infos = envs.step(rng.choice([1, 1, 2, 3], 3))
        assert observations.shape == (3, 4, 36, 36)
        starts |= set(infos["start"])
    assert starts == {"true", "archive"}
    envs.close()


def test_environments_can_share_one_backward_curriculum(way):
    starts = BackwardStarts(way, window=4, threshold=0.25)
    envs = gymnasium.vector.SyncVectorEnv(
        [lambda: gymnasium.make("MarioSnapshot-v0", start_states=starts, stall_limit=30)] * 2
    )
    envs.reset(seed=0)
    rng = np.random.default_rng(0)
    first = starts.curriculum.position
    for _ in range(600):
        envs.step(rng.choice([2, 4], 2))
    assert starts.curriculum.position < first - 3
    envs.close()


def test_stable_baselines3():
    ppo = pytest.importorskip("stable_baselines3", reason="stable-baselines3 is not installed").PPO
    from stable_baselines3.common.env_util import make_vec_env

    kwargs = {**SMALL, "restore": "on_reset", "stall_limit": 20, "level": "weighted:1-1..1-2"}
    envs = make_vec_env("MarioSnapshot-v0", n_envs=2, seed=0, env_kwargs=kwargs)
    model = ppo("CnnPolicy", envs, n_steps=64, batch_size=64, n_epochs=1, seed=0)
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more would only get in each other's way
    try:
        model.learn(384)
    finally:
        torch.set_num_threads(threads)
    assert model.num_timesteps == 384
    assert len(model.ep_info_buffer) > 3, "episodes end, so it has returns to learn from"
    assert sum(stats["total_restores"] for stats in envs.env_method("get_stats")) > 0
    envs.close()
