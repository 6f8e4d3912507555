"""Training on two nodes of a Ray cluster where nothing goes wrong."""

from __future__ import annotations

import dataclasses
import logging
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from mario_agents.config import TrainConfig, make_config
from mario_agents.run import CheckpointStore, RunDir
from mario_agents.runtime.run import train
from mario_envkit.plugins import load_trainer
from tests.agents.algorithms import PPOCorridorAlgorithm
from tests.agents.ray.conftest import TestCluster
from tests.agents.ray.short_runs import (
    MORE_STEPS,
    TRAINERS,
    assert_learned,
    assert_resumed,
    latest,
    options,
)
from tests.agents.test_ppo_trainer import SMALL as PPO
from tests.agents.trained_run import rows
from tests.waiting import until

pytestmark = pytest.mark.slow


def config_of(trainer: Any, name: str, cluster: TestCluster) -> TrainConfig:
    return make_config(trainer.config_class, options(trainer, name, cluster.address), source="test")


@pytest.mark.parametrize("name", TRAINERS)
def test_a_trainer_learns_on_two_nodes_evaluates_and_goes_on(
    cluster: TestCluster, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    trainer = load_trainer(name)
    config = config_of(trainer, name, cluster)
    run = RunDir.create(tmp_path / "run", trainer=name, config=config)
    with caplog.at_level(logging.INFO, "mario_agents"):
        trainer.train(config, run.path, resume=False)
    # There is room for one beside the learner: another node, without the run directory, sent rows.
    places = set(re.findall(r"Worker \d is on (\S+)\.", caplog.text))
    head = cluster.nodes.head_node.node_id[:4]
    assert any(not place.endswith(head) for place in places)
    first = assert_learned(run.path)
    until(lambda: not cluster.actors(), told=cluster.actors)
    more = dataclasses.replace(config, total_steps=first.step + MORE_STEPS)
    trainer.train(more, run.with_config(more).path, resume=True)
    assert_resumed(run.path, first)
    assert trainer.load_policy(more, run.path, device="cpu", weights="best")


def test_synchronous_updates_are_those_of_processes_bit_for_bit(
    cluster: TestCluster, tmp_path: Path
) -> None:
    ends = []
    for engine in ("processes", "ray"):
        config = dataclasses.replace(
            PPO,
            workers=2,
            total_steps=2048,
            engine=engine,
            address=cluster.address,
            schedule={"gamma": "0.9:0.7", "entropy_coef": "0.01:0.1"},
        )
        run = RunDir.create(tmp_path / engine, trainer="any", config=config)
        train(PPOCorridorAlgorithm(), config, run, resume=False)
        ends.append(latest(run.path))
    ours, theirs = ends
    assert ours.state["updater"]["updates"] == theirs.state["updater"]["updates"] > 60
    learned = [name for name in ours.tensors if name.startswith(("model.", "optimizer."))]
    assert len(learned) > 10
    for name in learned:
        assert torch.equal(ours.tensors[name], theirs.tensors[name]), name
    assert ours.state["counters"] == theirs.state["counters"]


def test_a_learner_on_another_node_writes_the_run_directory_from_there(
    cluster: TestCluster, tmp_path: Path
) -> None:
    """With all that a run needs to go on; the workers are where there is room."""
    node = cluster.add_node(num_cpus=1, resources={"far": 1}, num_gpus=1)
    try:
        trainer = load_trainer("apex")
        config = dataclasses.replace(config_of(trainer, "apex", cluster), learner_gpus=1.0)
        run = RunDir.create(tmp_path / "run", trainer="apex", config=config)
        trainer.train(config, run.path, resume=False)
        first = assert_learned(run.path)
        assert rows(run.path, "coordinator")
        more = dataclasses.replace(config, total_steps=first.step + MORE_STEPS)
        trainer.train(more, run.with_config(more).path, resume=True)
        assert_resumed(run.path, first)
        assert len(CheckpointStore(run.checkpoint_path)) <= config.keep_checkpoints
    finally:
        cluster.nodes.remove_node(node)
