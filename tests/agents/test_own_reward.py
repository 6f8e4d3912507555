"""``how-to/reward.md`` says how ``ppo`` is trained with a reward of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mario_agents.algos.ppo.algorithm import PPOAlgorithm
from mario_agents.algos.ppo.config import PPOConfig
from mario_agents.runtime.trainer import AlgorithmTrainer
from mario_envkit.game.rewards import RewardFunction
from tests.agents.trained_run import rows, train

FRAMES = 4  # of an agent step


class Alive:
    """Pays 1 in every frame, so that a return is the number of frames of the episode."""

    name = "alive"

    def start(self, state: Any) -> tuple[int, ...]:
        return ()

    def __call__(self, memory: tuple[int, ...], state: Any) -> tuple[Any, tuple[int, ...]]:
        return 1.0 + 0 * state.x_pos, ()


class AliveAlgorithm(PPOAlgorithm):
    def env_kwargs(self, config: PPOConfig) -> dict[str, Any]:
        return {**super().env_kwargs(config), "reward": RewardFunction((Alive(),))}


def test_ppo_learns_from_a_reward_of_ones_own(tmp_path: Path) -> None:
    config = PPOConfig(
        total_steps=1024, num_envs=8, rollout_steps=32, minibatch_size=64, hidden=16,
        log_interval=256, checkpoint_interval=1024, eval_interval=0, snapshots=False,
        device="cpu", ui=False,
    )  # fmt: skip
    path = train(AlgorithmTrainer(AliveAlgorithm(), "stays alive"), config, tmp_path / "run")
    ended = [row for row in rows(path) if row["reward"]]
    assert ended
    for row in ended:  # the last step of an episode may have fewer frames
        steps = float(row["episode_length"])
        assert FRAMES * (steps - 1) < float(row["reward"]) <= FRAMES * steps
