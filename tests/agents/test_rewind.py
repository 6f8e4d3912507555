"""A run that goes on from an older checkpoint has nothing twice in files that only grow."""

from __future__ import annotations

import csv
import dataclasses
import os
from pathlib import Path

import pytest

from mario_agents.run import CheckpointStore, RunDir
from mario_agents.run.records import read_evaluations
from mario_agents.runtime.local import LocalTopology
from mario_agents.runtime.rewind import rewind
from mario_agents.runtime.run import train
from mario_agents.testing.toy import ToyConfig
from mario_envkit.errors import RunError
from tests.agents.algorithms import EvaluatedInThread

TOY = ToyConfig(
    total_steps=1600, num_envs=4, checkpoint_interval=640, log_interval=64, eval_interval=320,
    eval_episodes=1, device="cpu", ui=False,
)  # fmt: skip


class Killed(BaseException):
    """What is raised for a run that is killed; nothing is saved for it."""


def steps_of(path: Path) -> list[int]:
    with path.open() as file:
        return [int(row["step"]) for row in csv.DictReader(file)]


def evaluated(run: RunDir) -> list[int]:
    """Steps of all lines, twice where there are two."""
    records, damaged = read_evaluations(run.evaluations_path)
    lines = run.evaluations_path.read_bytes().splitlines()
    assert len(lines) == len(records) + damaged
    assert damaged == 0
    return [record.step for record in records]


def killed_run(path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDir:
    """A run that was killed at step 1088, behind the checkpoint of step 640."""
    run = RunDir.create(path, trainer="any", config=TOY)
    watch = LocalTopology.watch

    def watching(topology: LocalTopology) -> None:
        watch(topology)
        topology.coordinator.take_evaluation(wait=True)
        if topology.coordinator.step >= 1088:
            raise Killed

    monkeypatch.setattr(LocalTopology, "watch", watching)
    with pytest.raises(Killed):
        train(EvaluatedInThread(), TOY, run, resume=False)
    monkeypatch.setattr(LocalTopology, "watch", watch)
    assert evaluated(run) == [320, 640, 960]
    assert CheckpointStore(run.checkpoint_path).load_latest().step == 640
    return run


def test_a_killed_run_that_is_resumed_has_no_evaluation_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = killed_run(tmp_path / "run", monkeypatch)
    with run.evaluations_path.open("ab") as file:
        file.write(b'{"step": 1280, "plain": [')  # killed in the middle of a line
    run.csv_path("worker_1").write_text("step,time,loss\n64,1.0,2\n640,2.0,1\n960,3.0,1\n1024,4")
    train(EvaluatedInThread(), TOY, run, resume=True)
    assert evaluated(run) == [320, 640, 960, 1280, 1600]
    for name in ("worker_0", "coordinator"):
        assert steps_of(run.csv_path(name)) == [*range(64, 1601, 64)]
    assert steps_of(run.csv_path("worker_1")) == [64, 640]  # of an earlier time


def test_an_evaluation_that_does_not_come_again_is_cut_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = killed_run(tmp_path / "run", monkeypatch)
    train(EvaluatedInThread(), dataclasses.replace(TOY, total_steps=768), run, resume=True)
    assert evaluated(run) == [320, 640, 768]


def test_weights_that_were_evaluated_are_not_evaluated_again(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run", trainer="any", config=TOY)
    train(EvaluatedInThread(), TOY, run, resume=False)
    assert evaluated(run)[-1] == 1600
    before = run.evaluations_path.read_bytes()
    train(EvaluatedInThread(), TOY, run, resume=True)  # there is nothing left to do
    assert run.evaluations_path.read_bytes() == before


def test_nothing_to_cut_leaves_files_alone(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run", trainer="any", config=TOY)
    rewind(run, 0)
    train(EvaluatedInThread(), TOY, run, resume=False)
    files = [run.evaluations_path, run.csv_path("worker_0"), run.csv_path("coordinator")]
    before = [(path.stat().st_ino, path.read_bytes()) for path in files]
    rewind(run, 1600)
    assert [(path.stat().st_ino, path.read_bytes()) for path in files] == before


def test_a_disk_that_refuses_is_told_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunDir.create(tmp_path / "run", trainer="any", config=TOY)
    run.csv_path("worker_0").write_text("step,time\n64,1.0\n128,2.0\n")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "worker_0.csv")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(RunError, match=r"cannot go on from step 64. worker_0.csv: No space left"):
        rewind(run, 64)
