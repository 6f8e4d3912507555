"""Tianshou 2: its vectors, collectors, buffers and trainers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from tianshou.algorithm import DQN, PPO
from tianshou.algorithm.algorithm_base import Policy
from tianshou.algorithm.modelfree.dqn import DiscreteQLearningPolicy
from tianshou.algorithm.modelfree.reinforce import DiscreteActorPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Batch, Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv, SubprocVectorEnv
from tianshou.trainer import OffPolicyTrainerParams, OnPolicyTrainerParams
from torch import nn

import mario_envkit  # noqa: F401 - registers the ids

GAME: dict[str, Any] = {"level": "1-1", "screen_size": 42, "max_episode_steps": 20}


@pytest.mark.parametrize("numeric", [False, True])
@pytest.mark.parametrize("env_id", ["MarioTrain-v0", "MarioTiles-v0", "MarioSnapshot-v0"])
def test_it_collects(env_id: str, numeric: bool) -> None:
    class Right(Policy):
        def forward(self, batch: Any, state: Any = None, **kwargs: Any) -> Any:
            return Batch(act=np.ones(len(batch.obs), np.int64))

    kwargs = {"numeric_info": numeric, "level": "1-1", "stall_limit": 10}
    single = gymnasium.make(env_id, **kwargs)
    envs = DummyVectorEnv([lambda: gymnasium.make(env_id, **kwargs)] * 2)
    buffer = VectorReplayBuffer(200, 2)
    policy = Right(action_space=single.action_space, observation_space=single.observation_space)
    collector = Collector(policy, envs, buffer)
    collector.reset()
    assert collector.collect(n_step=100).n_collected_steps == 100
    batch, _ = buffer.sample(4)
    assert (batch.info.x_pos > 0).all()
    assert batch.info.life_lost.dtype == bool
    envs.close()
    single.close()


class Network(nn.Module):
    """So many numbers from pictures, in the form in which Tianshou calls a network."""

    def __init__(self, outputs: int, *, with_state: bool) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(4 * 42 * 42, 32), nn.ReLU(), nn.Linear(32, outputs)
        )
        self.with_state = with_state

    def forward(self, obs: Any, state: Any = None, info: Any = None) -> Any:
        values = self.layers(torch.as_tensor(obs, dtype=torch.float32) / 255)
        return (values, state) if self.with_state else values


def make_env() -> gymnasium.Env[Any, Any]:
    return gymnasium.make("mario_envkit:MarioTrain-v0", **GAME)


def ppo(space: Any) -> Any:
    policy = DiscreteActorPolicy(actor=Network(7, with_state=True), action_space=space)
    critic = Network(1, with_state=False)
    return PPO(policy=policy, critic=critic, optim=AdamOptimizerFactory(lr=1e-3))


def dqn(space: Any) -> Any:
    policy = DiscreteQLearningPolicy(
        model=Network(7, with_state=True), action_space=space, eps_training=0.5
    )
    return DQN(policy=policy, optim=AdamOptimizerFactory(lr=1e-3), target_update_freq=5)


@pytest.mark.parametrize("vector", [DummyVectorEnv, SubprocVectorEnv])
@pytest.mark.parametrize("make", [ppo, dqn])
def test_it_trains(make: Callable[[Any], Any], vector: Any) -> None:
    torch.manual_seed(0)
    envs, single = vector([make_env] * 2), make_env()
    algorithm = make(single.action_space)
    before = [parameter.detach().clone() for parameter in algorithm.policy.parameters()]
    collector = Collector(algorithm, envs, VectorReplayBuffer(200, 2))
    common: dict[str, Any] = {
        "training_collector": collector, "max_epochs": 1, "epoch_num_steps": 64, "batch_size": 32,
    }  # fmt: skip
    if make is ppo:
        params: Any = OnPolicyTrainerParams(
            **common, collection_step_num_env_steps=64, update_step_num_repetitions=1
        )
    else:
        params = OffPolicyTrainerParams(**common, collection_step_num_env_steps=32)
    result = algorithm.run_training(params)
    assert result.train_step >= 64
    assert result.train_episode > 0
    after = list(algorithm.policy.parameters())
    assert any(not torch.equal(*pair) for pair in zip(before, after, strict=True))
    envs.close()
    single.close()


def test_the_snippet_of_the_documents(run_snippet: Any) -> None:
    assert len(run_snippet()["collector"].buffer) == 32
