"""Dreamer learns to remember, alone and beside a coordinator."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from mario_agents.algos.dreamer.algorithm import DreamerAlgorithm
from mario_agents.evaluation.evaluate import EvalProtocol, evaluate
from mario_agents.run import CheckpointStore, RunDir
from mario_agents.runtime.run import train
from mario_agents.runtime.trainer import AlgorithmTrainer
from tests.agents.dreamer.toys import CONFIG, ChoiceDreamer, ShuffledDreamer

LEARNING = dataclasses.replace(
    CONFIG,
    total_steps=4_000,
    num_envs=8,
    batch_size=16,
    batch_length=12,
    train_ratio=64.0,
    learning_starts=256,
    imagined=64,
    lr=3e-3,
    entropy_coef=1e-2,
    buffer_size=4_000,
)
# An observation has three numbers, of which an encoder makes 64: with the weight that is for a
# screen these drown the one reward.
BLIND = {"decoder": "none", "redundancy_coef": 0.005}

# Greedy play draws the states of the world model, 1 % of them from all there are, and may forget
# now and then (0.95 to 1 was measured); always the same action wins half of the games.
LEARNED = 0.8


def success(algorithm: DreamerAlgorithm, path: Path, **options: Any) -> float:
    """Greedy success after training."""
    trainer, config = AlgorithmTrainer(algorithm, ""), dataclasses.replace(LEARNING, **options)
    RunDir.create(path, trainer="dreamer", config=config)
    trainer.train(config, path, resume=False)
    policy = trainer.load_policy(config, path, device="cpu", weights="latest")
    return evaluate(
        policy, trainer.env_kwargs(config), EvalProtocol(episodes=40), max_envs=40
    ).success_rate.mean


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX shared memory")
def test_a_synchronous_worker_does_what_one_in_this_process_does(tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, size="1m")  # as it is in every process
    ends = []
    for name, options in (("local", {}), ("apart", {"workers": 1, "synchronous": True})):
        chosen = dataclasses.replace(config, **options)
        run = RunDir.create(tmp_path / name, trainer="dreamer", config=chosen)
        train(ChoiceDreamer(), chosen, run, resume=False)
        ends.append(CheckpointStore(run.checkpoint_path).load_latest())
    ours, theirs = ends
    assert ours.state["updater"] == theirs.state["updater"]
    assert ours.state["updater"]["updates"] > 50
    learned = [name for name in ours.tensors if name.startswith(("model.", "optimizer."))]
    assert "model.return_range" in learned
    for name in learned:
        assert torch.equal(ours.tensors[name], theirs.tensors[name]), name


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, BLIND], ids=["decoder", "none"])
def test_it_learns_to_remember(options: dict[str, Any], tmp_path: Path) -> None:
    assert success(ChoiceDreamer(), tmp_path / "run", **options) > LEARNED


@pytest.mark.slow
def test_where_the_reward_is_shuffled_it_does_not(tmp_path: Path) -> None:
    assert success(ShuffledDreamer(), tmp_path / "run") < LEARNED
