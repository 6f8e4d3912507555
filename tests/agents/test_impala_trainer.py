"""A3C from end to end: what it promises as an algorithm, its options, and its processes."""

from __future__ import annotations

import csv
import dataclasses
import sys
from pathlib import Path

import pytest

from mario_agents.algos.impala.algorithm import A3CAlgorithm
from mario_agents.algos.impala.config import A3CConfig
from mario_agents.config import make_config
from mario_agents.run import CheckpointStore, RunDir
from mario_agents.testing.conformance import check_algorithm
from mario_envkit.errors import ConfigError
from mario_envkit.plugins import Trainer, load_trainer

SMALL = A3CConfig(
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


def test_it_is_registered() -> None:
    trainer = load_trainer("a3c")
    assert isinstance(trainer, Trainer)
    assert trainer.config_class is A3CConfig


@pytest.mark.parametrize("options", [
    {"recurrent_type": "gru", "noisy": True, "replay_share": 0.5, "per": True},
    {"recurrent_type": "lstm", "observation": "pixels", "batch_unrolls": 6},
    {"recurrent_type": "transformer", "frame_stack": 1, "optimizer": "rmsprop", "snapshots": False},
], ids=["gru", "lstm", "transformer"])  # fmt: skip
def test_it_keeps_what_an_algorithm_promises(options: dict[str, object], tmp_path: Path) -> None:
    check_algorithm(A3CAlgorithm(), dataclasses.replace(SMALL, **options), tmp_path)


def test_a_batch_may_have_other_unrolls_than_a_round() -> None:
    config = dataclasses.replace(SMALL, batch_unrolls=12, replay_share=0.75, accumulate_grads=2)
    assert config.replayed == 36
    assert config.total_packets == 2  # 384 steps are four batches
    assert config.resolved().lr_min == pytest.approx(1e-4)


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
        make_config(A3CConfig, options, source="command line")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX shared memory")
def test_workers_share_gradients(tmp_path: Path) -> None:
    config = dataclasses.replace(
        SMALL, workers=2, total_steps=2_560, recurrent_type="gru", noisy=True, replay_share=0.5
    )
    run = RunDir.create(tmp_path / "run", trainer="a3c", config=config)
    load_trainer("a3c").train(config, run.path, resume=False)
    checkpoint = CheckpointStore(run.checkpoint_path).load_latest()
    assert checkpoint.step >= 2_560
    assert checkpoint.state["updater"]["updates"] > 20
    for worker in ("worker_0", "worker_1"):
        with (run.path / f"{worker}.csv").open() as file:
            last = list(csv.DictReader(file))[-1]
        assert 0 < float(last["entropy"]) < 2
