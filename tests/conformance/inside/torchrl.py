"""TorchRL: its collectors, losses and optimizers over the native vector and single environments."""

from __future__ import annotations

from typing import Any

import gymnasium
import pytest
import torch
from tensordict.nn import TensorDictModule
from torch import nn
from torchrl.collectors import Collector
from torchrl.envs import GymEnv, GymWrapper, ParallelEnv, check_env_specs
from torchrl.modules import ProbabilisticActor, ValueOperator
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

import mario_envkit  # noqa: F401 - registers the ids

GAME: dict[str, Any] = {"level": "1-1", "screen_size": 42, "reward": "progress"}
SHORT: dict[str, Any] = {"max_episode_steps": 20, **GAME}


@pytest.mark.parametrize("env_id", ["MarioTrain-v0", "MarioSnapshot-v0"])
@pytest.mark.parametrize("mode", ["SameStep", "Disabled"])
def test_it_steps_the_vector(env_id: str, mode: str) -> None:
    envs = gymnasium.make_vec(
        env_id, num_envs=3, autoreset_mode=mode, numeric_info=True, max_episode_steps=20, **GAME
    )
    env = GymWrapper(envs)
    if mode == "Disabled":
        env.auto_register_info_dict()
    env.set_seed(0)
    rollout = env.rollout(60, break_when_any_done=False)
    assert rollout.batch_size == (3, 60)
    assert rollout["next", "done"].any()
    if mode == "Disabled":
        assert rollout["next", "x_pos"].max() > 40
    env.close()


def test_it_makes_and_checks_single_environments() -> None:
    env = GymEnv("MarioTrain-v0", numeric_info=True, **GAME)
    check_env_specs(env)
    env.auto_register_info_dict()
    assert env.rollout(8)["next", "x_pos"].shape == (8,)
    env.close()


def networks() -> tuple[ProbabilisticActor, ValueOperator]:
    """Logits and values from pictures ``(4, 42, 42)`` uint8."""

    class Pictures(nn.Module):
        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            return pictures.flatten(-3).float() / 255

    def network(outputs: int) -> nn.Sequential:
        return nn.Sequential(
            Pictures(), nn.Linear(4 * 42 * 42, 32), nn.Tanh(), nn.Linear(32, outputs)
        )

    actor = ProbabilisticActor(
        TensorDictModule(network(7), in_keys=["observation"], out_keys=["logits"]),
        in_keys=["logits"], distribution_class=torch.distributions.Categorical,
        return_log_prob=True,
    )  # fmt: skip
    return actor, ValueOperator(network(1), in_keys=["observation"])


def single() -> GymEnv:
    return GymEnv(
        "mario_envkit:MarioTrain-v0", numeric_info=True, categorical_action_encoding=True, **SHORT
    )


def native() -> GymWrapper:
    envs = gymnasium.make_vec(
        "MarioTrain-v0", num_envs=2, autoreset_mode="SameStep", numeric_info=True, **SHORT
    )  # fmt: skip
    return GymWrapper(envs, categorical_action_encoding=True)


@pytest.mark.parametrize("kind", ["native", "single", "processes"])
def test_ppo(kind: str) -> None:
    torch.manual_seed(0)
    makers = {
        "native": native,
        "single": single,
        "processes": lambda: ParallelEnv(2, single, mp_start_method="spawn"),
    }
    actor, critic = networks()
    collector = Collector(makers[kind](), actor, frames_per_batch=64, total_frames=128)
    loss_of = ClipPPOLoss(actor, critic, clip_epsilon=0.1)
    advantage = GAE(gamma=0.99, lmbda=0.95, value_network=critic)
    optimizer = torch.optim.Adam(loss_of.parameters(), lr=1e-3)
    before = [parameter.detach().clone() for parameter in loss_of.parameters()]
    ends = frames = 0
    for batch in collector:
        with torch.no_grad():
            advantage(batch)
        losses = loss_of(batch.reshape(-1))
        loss = losses["loss_objective"] + losses["loss_critic"] + losses["loss_entropy"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert torch.isfinite(loss)
        frames += batch.numel()
        ends += int(batch["next", "done"].sum())
    assert frames == 128
    assert ends > 0
    after = list(loss_of.parameters())
    assert any(not torch.equal(*pair) for pair in zip(before, after, strict=True))
    collector.shutdown()


def test_the_snippet_of_the_documents(run_snippet: Any) -> None:
    assert run_snippet()["batch"]["observation"].shape == (4, 16, 4, 84, 84)
