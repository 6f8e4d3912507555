"""A3C from end to end: what it promises as an algorithm, its options, and its processes."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest
import torch

from mario_agents.acting.actor import Actor
from mario_agents.acting.environments import make_vector
from mario_agents.algos.impala.algorithm import A3CAlgorithm, ImpalaAlgorithm
from mario_agents.algos.impala.config import ImpalaConfig
from mario_agents.config import make_config
from mario_agents.core.algorithm import Spaces, WorkerContext
from mario_agents.run import CheckpointStore
from mario_agents.testing.conformance import check_algorithm
from mario_agents.testing.corridor import CORRIDOR
from mario_envkit.errors import ConfigError
from mario_envkit.plugins import Trainer, load_trainer
from tests.agents.trained_run import rows, train

SMALL = ImpalaConfig(
    total_steps=384,
    num_envs=4,
    rollout_steps=8,
    hidden=16,
    transformer_heads=2,
    transformer_memory=6,
    log_interval=64,
    eval_interval=0,
    device="cpu",
    ui=False,
)


@pytest.mark.parametrize("name", ["a3c", "impala"])
def test_they_are_registered(name: str) -> None:
    trainer = load_trainer(name)
    assert isinstance(trainer, Trainer)
    assert trainer.config_class is ImpalaConfig


@pytest.mark.parametrize("options", [
    {"recurrent_type": "gru", "noisy": True, "replay_share": 0.5, "per": True},
    {"recurrent_type": "lstm", "observation": "pixels", "batch_unrolls": 6},
    {"recurrent_type": "transformer", "frame_stack": 1, "optimizer": "rmsprop", "snapshots": False},
], ids=["gru", "lstm", "transformer"])  # fmt: skip
@pytest.mark.slow
def test_it_keeps_what_an_algorithm_promises(options: dict[str, object], tmp_path: Path) -> None:
    check_algorithm(A3CAlgorithm(), dataclasses.replace(SMALL, **options), tmp_path)


def test_a_batch_may_have_other_unrolls_than_a_round() -> None:
    config = dataclasses.replace(SMALL, batch_unrolls=12, replay_share=0.75, accumulate_grads=2)
    assert config.replayed == 36
    assert config.total_packets == 2  # 384 steps are four batches
    assert config.resolved().lr_min == pytest.approx(1.5e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"recurrent_type": "transformer", "hidden": 20}, "even multiple of transformer_heads"),
        ({"lr": 1e-4, "lr_min": 1e-3}, "lr_min must not be more than lr"),
        ({"replay_share": 0.97}, "replay_share = 0.97 is not valid"),
        ({"network": "nature"}, "tiles need network mlp"),
        ({"recurrent_type": "rnn"}, "recurrent_type = 'rnn' is not valid"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_config(ImpalaConfig, options, source="command line")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX shared memory")
@pytest.mark.parametrize("name", ["a3c", "impala"])
def test_workers_share_gradients_or_experience(name: str, tmp_path: Path) -> None:
    config = dataclasses.replace(
        SMALL, workers=2, total_steps=2_560, recurrent_type="gru", noisy=True, per=True
    )
    path = train(load_trainer(name), config, tmp_path / "run", name=name)
    checkpoint = CheckpointStore(path / "checkpoint").load_latest()
    assert checkpoint.step >= 2_560
    assert checkpoint.state["updater"]["updates"] > 20
    sources = ("worker_0", "worker_1") if name == "a3c" else ("coordinator",)
    for source in sources:
        last = rows(path, source)[-1]
        assert 0 < float(last["entropy"]) < 2
        assert 0 <= float(last["kl"]) < 1
    if name == "impala":
        assert 0 <= float(last["lag"]) < 20
        assert float(last["dropped"]) == 0


def test_shards_of_all_workers_are_one_queue_that_is_full_when_enough_wait() -> None:
    config = dataclasses.replace(SMALL, observation="pixels", network="mlp", error_buffer=32)
    context = WorkerContext(0, 3, 0, 0, 0, torch.device("cpu"), central=True)
    envs = make_vector({"id": CORRIDOR, "size": 4}, 4)
    algorithm, spaces = ImpalaAlgorithm(), Spaces.of(envs)
    learner = algorithm.learner(config, spaces)
    dataset = algorithm.dataset(config, learner, spaces, context)
    policy = algorithm.policy(config, learner, context)
    actors = [Actor(make_vector({"id": CORRIDOR, "size": 4}, 4), policy, seed=n) for n in range(3)]
    waiting = []
    for worker in (2, 0, 1):  # four unrolls of each, of which four are a batch and four may wait
        actors[worker].collect(32, 0, lambda step, worker=worker: dataset.add(step, worker))
        waiting.append((len(dataset), dataset.full))
    assert waiting == [(4, False), (8, True), (12, True)]
    order = [int(batch["index"][0, 0]) % 12 // 4 for batch in dataset.batches(0)]
    assert order == [2, 0, 1]
    assert not dataset.full
    assert dataset.gauges() == {"buffer_size": 96, "dropped": 0}
