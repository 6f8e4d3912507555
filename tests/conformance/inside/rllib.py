"""RLlib: its own processes play, its learner learns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.rllib.algorithms.dqn import DQNConfig
from ray.rllib.algorithms.ppo import PPOConfig

from mario_envkit.integrations.rllib import RLlibEnv

# It registers an id of its own for each environment, and Gymnasium warns from the second one on.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.{5}WARN. Overriding environment rllib-:UserWarning"
)

GAME: dict[str, Any] = {"level": "1-1", "screen_size": 42, "max_episode_steps": 20}


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    ray.init(num_cpus=2, include_dashboard=False)
    yield
    ray.shutdown()


@pytest.mark.parametrize("runners", [0, 1], ids=["here", "process"])
@pytest.mark.parametrize("env_id", ["MarioTrain-v0", "MarioTiles-v0"])
def test_ppo(env_id: str, runners: int, tmp_path: Path) -> None:
    game = GAME if env_id == "MarioTrain-v0" else {"level": "1-1", "max_episode_steps": 20}
    config = (
        PPOConfig()
        .environment(RLlibEnv, env_config={"id": env_id, **game})
        .env_runners(num_env_runners=runners, num_envs_per_env_runner=2, rollout_fragment_length=32)
        .training(train_batch_size_per_learner=64, minibatch_size=32, num_epochs=1)
    )
    if env_id == "MarioTiles-v0":  # no filters of the library's fit 16 x 16 by themselves
        config = config.rl_module(
            model_config={"conv_filters": [[16, 4, 2], [32, 4, 2]], "fcnet_hiddens": [32]}
        )
    algorithm = config.build_algo()
    results = [algorithm.train() for _ in range(2)][-1]
    assert results["num_env_steps_sampled_lifetime"] >= 128
    assert results["env_runners"]["num_episodes_lifetime"] > 0
    saved = algorithm.save_to_path(str(tmp_path / "checkpoint"))
    algorithm.restore_from_path(saved)
    algorithm.stop()


def test_dqn() -> None:
    config = (
        DQNConfig()
        .environment(RLlibEnv, env_config={"id": "MarioTrain-v0", **GAME})
        .env_runners(num_env_runners=0, rollout_fragment_length=16)
        .training(
            train_batch_size_per_learner=16, num_steps_sampled_before_learning_starts=32,
            replay_buffer_config={"type": "PrioritizedEpisodeReplayBuffer", "capacity": 500},
        )
        .reporting(min_sample_timesteps_per_iteration=64)
    )  # fmt: skip
    algorithm = config.build_algo()
    results = algorithm.train()
    assert results["num_env_steps_sampled_lifetime"] >= 64
    assert results["learners"]["default_policy"]["num_module_steps_trained_lifetime"] > 0
    algorithm.stop()


def test_the_snippet_of_the_documents(run_snippet: Any, capsys: Any) -> None:
    run_snippet()
    assert float(capsys.readouterr().out.split()[-1]) >= 32
