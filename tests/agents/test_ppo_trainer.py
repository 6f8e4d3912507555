"""PPO from end to end on a corridor: run directory, best weights, resume; and its options."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pytest
import torch

from mario_agents.algos.ppo.config import PPOConfig
from mario_agents.config import make_config, to_plain
from mario_agents.evaluation.evaluate import evaluate
from mario_agents.evaluation.results import EvalProtocol
from mario_agents.run import CheckpointStore, RunDir, read_weights
from mario_agents.runtime.trainer import AlgorithmTrainer
from mario_envkit.errors import ConfigError
from mario_envkit.plugins import Trainer, load_trainer
from tests.agents.algorithms import PPOCorridorAlgorithm
from tests.agents.trained_run import assert_equal, rows, train, weights

SMALL = PPOConfig(
    total_steps=640,
    num_envs=4,
    rollout_steps=16,
    minibatch_size=32,
    hidden=16,
    network="mlp",
    observation="pixels",
    lr=3e-3,
    lr_min=3e-3,
    log_interval=64,
    checkpoint_interval=128,
    eval_interval=0,
    device="cpu",
    ui=False,
)


TRAINER = AlgorithmTrainer(PPOCorridorAlgorithm(), "Walk to the flag.")


def start(path, config=SMALL):
    return train(TRAINER, config, path, name="ppo")


@pytest.mark.slow
def test_metrics_say_how_far_a_backward_curriculum_has_come(tmp_path, way):
    way.save(tmp_path / "1-1.json")
    config = dataclasses.replace(
        SMALL, level="1-1", observation="tiles", frame_stack=1, network="auto",
        backward=str(tmp_path / "1-1.json"), total_steps=1024, log_interval=128,
    )  # fmt: skip
    path = tmp_path / "run"
    RunDir.create(path, trainer="ppo", config=config)
    load_trainer("ppo").train(config, path, resume=False)
    come = [float(row["backward"]) for row in rows(path, "worker_0")]
    assert 0 < come[-1] < 1
    assert come == sorted(come)


def test_it_is_registered():
    trainer = load_trainer("ppo")
    assert isinstance(trainer, Trainer)
    assert trainer.config_class is PPOConfig


def test_a_run_leaves_everything_behind(tmp_path):
    path = start(tmp_path / "run")
    worker, coordinator = rows(path, "worker_0"), rows(path, "coordinator")
    assert [int(row["step"]) for row in worker] == list(range(64, 641, 64))
    first, last = (
        {name: float(row[name] or "nan") for name in row} for row in (worker[0], worker[-1])
    )
    # Nearly all three actions are alike at first; then the policy moves, within its bounds.
    assert 1.05 < first["entropy"] < np.log(3)
    assert last["entropy"] < 0.9
    assert last["success"] > 2 * first["success"]
    assert last["explained_variance"] > first["explained_variance"]
    for row in (first, last):
        assert 0 < row["approx_kl"] < 0.02
        assert 0 < row["clip_fraction"] < 0.2
        parts = row["policy_loss"] + SMALL.value_coef * row["value_loss"]
        assert row["loss"] == pytest.approx(parts - SMALL.entropy_coef * row["entropy"], rel=1e-4)
    # Ten rollouts, three epochs, two minibatches.
    assert int(coordinator[-1]["updates"]) == 10 * 3 * 2
    latest = CheckpointStore(path / "checkpoint").load_latest()
    assert latest.step == 640
    model = {
        name.removeprefix("model."): tensor
        for name, tensor in latest.tensors.items()
        if name.startswith("model.")
    }
    assert_equal(model, weights(path))


@pytest.mark.slow
def test_it_learns_and_its_best_weights_are_played(tmp_path):
    config = dataclasses.replace(SMALL, total_steps=2048, eval_interval=512, eval_episodes=2)
    path = start(tmp_path / "run", config)
    shares = [float(row["eval_best"]) for row in rows(path, "coordinator") if row["eval_best"]]
    assert shares[-1] == 1.0
    assert shares == sorted(shares)
    policy = TRAINER.load_policy(config, path, device="cpu", weights="best")
    result = evaluate(policy, TRAINER.env_kwargs(config), EvalProtocol(episodes=2))
    assert result.success_rate.mean == 1.0
    step = int(read_weights(RunDir.open(path), "best")[1]["step"])
    assert step % 512 == 0


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_actors_on_a_device_of_their_own_play_with_the_newest_weights(tmp_path, workers):
    config = dataclasses.replace(SMALL, total_steps=192, workers=workers)
    ours = start(tmp_path / "one", config)
    # The same processor by another name: the actors have a copy of the network.
    theirs = start(tmp_path / "two", dataclasses.replace(config, actor_device="cpu:0"))
    assert_equal(weights(ours), weights(theirs))


def test_the_same_seed_gives_the_same_weights_and_another_one_others(tmp_path):
    short = dataclasses.replace(SMALL, total_steps=320)
    first, again = start(tmp_path / "a", short), start(tmp_path / "b", short)
    assert_equal(weights(first), weights(again))
    other = start(tmp_path / "c", dataclasses.replace(short, seed=1))
    assert not torch.equal(weights(first)["trunk.weight"], weights(other)["trunk.weight"])


def test_two_resumes_of_one_checkpoint_are_equal(tmp_path):
    path = start(tmp_path / "run", dataclasses.replace(SMALL, total_steps=320))
    shutil.copytree(path, tmp_path / "copy")
    TRAINER.train(SMALL, path, resume=True)
    TRAINER.train(SMALL, tmp_path / "copy", resume=True)
    assert_equal(weights(path), weights(tmp_path / "copy"))
    assert [int(row["step"]) for row in rows(path, "worker_0")] == list(range(64, 641, 64))
    assert int(rows(path, "coordinator")[-1]["updates"]) == 60
    ours = CheckpointStore(path / "checkpoint").load_latest()
    theirs = CheckpointStore(tmp_path / "copy" / "checkpoint").load_latest()
    assert_equal(ours.tensors, theirs.tensors)


@pytest.mark.slow
def test_a_worker_process_learns_what_this_process_does(tmp_path):
    ours = start(tmp_path / "local")
    theirs = start(tmp_path / "apart", dataclasses.replace(SMALL, workers=1))
    assert_equal(weights(ours), weights(theirs))


@pytest.mark.slow
def test_two_workers_share_their_gradients_and_learn(tmp_path):
    config = dataclasses.replace(SMALL, workers=2, total_steps=4096)
    path = start(tmp_path / "run", config)
    state = CheckpointStore(path / "checkpoint").load_latest().state
    # Each update is made from one packet of each worker: they began together, and end together.
    assert state["updater"]["packets"] == 2 * state["updater"]["updates"]
    assert [worker["steps"] for worker in state["counters"]] == [2048, 2048]
    policy = TRAINER.load_policy(config, path, device="cpu", weights="latest")
    result = evaluate(policy, TRAINER.env_kwargs(config), EvalProtocol(episodes=2))
    assert result.success_rate.mean == 1.0


def test_the_learning_rate_falls_to_its_minimum_at_the_end_of_the_run(tmp_path):
    path = start(tmp_path / "run", dataclasses.replace(SMALL, lr_min=1e-5))
    rates = [float(row["lr"]) for row in rows(path, "coordinator")]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(1e-5, rel=0.3)


def test_the_choice_of_the_network_is_stored_for_other_machines():
    resolved = PPOConfig(network="auto", observation="pixels", device="cpu").resolved()
    assert resolved.network == "small"
    assert PPOConfig(network="auto", observation="tiles", device="cpu").resolved().network == "mlp"
    assert (
        PPOConfig(observation="pixels", network="nature", screen_size=84, device="cpu")
        .resolved()
        .network
        == "nature"
    )
    assert make_config(PPOConfig, to_plain(resolved), source="test") == resolved


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_envs": 3, "rollout_steps": 64, "minibatch_size": 256}, "multiple of minibatch_size"),
        ({"num_envs": 1, "rollout_steps": 1}, "multiple of minibatch_size, 2 or more"),
        ({"lr": 1e-4, "lr_min": 1e-3}, "lr_min <= lr"),
        ({"workers": 2, "synchronous": False}, "needs --synchronous"),
        ({"workers": 2, "target_kl": 0.02}, "target_kl"),
        ({"minibatch_size": 1}, "minibatch_size = 1"),
        ({"gamma": 1.5}, "gamma = 1.5"),
        ({"observation": "pixels", "network": "nature", "screen_size": 32}, "screen_size >= 36"),
        ({"network": "small", "observation": "tiles"}, "tiles need network mlp"),
        ({"normalize_advantage": "batch"}, "normalize_advantage = 'batch'"),
        ({"normalize_advantage": "level", "observation": "pixels"}, "levels apart by their tiles"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        make_config(PPOConfig, options, source="test")
