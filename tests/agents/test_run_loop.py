"""The loop of a run: how short the way to the optimizer is, and how evaluations end it."""

from __future__ import annotations

import csv
import dataclasses
import sys
import traceback
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch

from mario_agents import cli
from mario_agents.core.eager import AdamW
from mario_agents.run import CheckpointStore, RunDir
from mario_agents.run.records import EvaluationRecord, read_evaluations
from mario_agents.runtime.evaluator import Evaluator
from mario_agents.runtime.local import LocalTopology
from mario_agents.runtime.run import train
from mario_agents.testing.toy import ToyAlgorithm, ToyConfig
from mario_envkit.errors import TrainerError
from tests.agents.algorithms import BrokenEvaluation, EvaluatedInThread

TOY = ToyConfig(
    total_steps=640, num_envs=4, checkpoint_interval=10_000, log_interval=64, eval_interval=128,
    eval_episodes=2, device="cpu", ui=False,
)  # fmt: skip
WORKERS = [
    0,
    pytest.param(
        1, marks=pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX shared memory")
    ),
]


@pytest.fixture(autouse=True)
def _threads() -> Any:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_from_the_command_to_the_optimizer_it_is_nine_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newcomer who follows ``mario-agents train`` gets there."""
    ways: list[list[str]] = []
    step = AdamW.step

    def counted(optimizer: AdamW, *args: Any) -> Any:
        frames = traceback.extract_stack()
        ours = [f for f in frames if "mario_agents" in Path(f.filename).parts]
        ways.append([f"{Path(frame.filename).stem}.{frame.name}" for frame in ours])
        return step(optimizer, *args)

    monkeypatch.setattr(AdamW, "step", counted)
    size = ["--num-envs", "2", "--rollout-steps", "8", "--epochs", "1", "--minibatch-size", "16"]
    rest = ["--eval-interval", "0", "--no-snapshots", "--no-ui", "--device", "cpu"]
    words = ["train", "ppo", "--observation", "tiles", "--total-steps", "16", *size, *rest]
    assert cli.main([*words, "--run-dir", str(tmp_path / "run")]) == 0
    assert ways
    assert all(len(way) <= 9 for way in ways), ways[0]


def evaluated(run: RunDir) -> tuple[list[EvaluationRecord], list[dict[str, str]]]:
    """All evaluations, and the rows of the coordinator."""
    with run.csv_path("coordinator").open() as file:
        return read_evaluations(run.evaluations_path)[0], list(csv.DictReader(file))


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("eval_interval", [128, 640])
def test_the_last_row_has_the_last_evaluation(
    tmp_path: Path, workers: int, eval_interval: int
) -> None:
    config = dataclasses.replace(TOY, workers=workers, eval_interval=eval_interval)
    run = RunDir.create(tmp_path / "run", trainer="any", config=config)
    train(ToyAlgorithm(), config, run, resume=False)
    records, rows = evaluated(run)
    end = CheckpointStore(run.checkpoint_path).load_latest()
    assert records[-1].step == int(rows[-1]["step"]) == end.step
    plain, sticky = records[-1].plain, records[-1].sticky
    assert float(rows[-1]["eval_success"]) == sum(each.success for each in plain) / 2
    assert float(rows[-1]["eval_sticky_success"]) == sum(each.success for each in sticky) / 2
    assert float(rows[-1]["eval_x"]) == sum(each.best_x for each in plain) / 2


def test_a_run_out_of_time_has_its_last_evaluation_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last row is of the same step as one that was written while it went on."""
    from mario_agents.runtime.run import Run

    monkeypatch.setattr(Run, "out_of_time", property(lambda run: run._step >= 320))
    run = RunDir.create(tmp_path / "run", trainer="any", config=TOY)
    train(ToyAlgorithm(), TOY, run, resume=False)
    records, rows = evaluated(run)
    assert records[-1].step == 320
    assert [int(row["step"]) for row in rows] == [64, 128, 192, 256, 320]
    assert float(rows[-1]["eval_x"]) == sum(each.best_x for each in records[-1].plain) / 2
    # Nothing has happened since: neither a row nor an evaluation is made again.
    train(ToyAlgorithm(), TOY, run, resume=True)
    assert evaluated(run) == (records, rows)


@pytest.mark.parametrize("workers", WORKERS)
def test_a_run_ends_when_its_best_weights_are_good_enough(tmp_path: Path, workers: int) -> None:
    """The toy learns to reach its flag."""
    config = dataclasses.replace(TOY, workers=workers, stop_at_success=0.75, total_steps=10**9)
    run = RunDir.create(tmp_path / "run", trainer="any", config=config)
    train(ToyAlgorithm(), config, run, resume=False)
    records, rows = evaluated(run)
    assert records[-1].step == CheckpointStore(run.checkpoint_path).load_latest().step < 10**9
    shares = [fmean(each.success for each in (*r.plain, *r.sticky)) for r in records]
    assert max(shares) >= 0.75
    assert float(rows[-1]["eval_best"]) == max(shares)


@pytest.mark.parametrize("workers", WORKERS)
def test_an_evaluation_that_fails_ends_the_run_with_its_error(tmp_path: Path, workers: int) -> None:
    config = dataclasses.replace(TOY, workers=workers, total_steps=10**9)
    run = RunDir.create(tmp_path / "run", trainer="any", config=config)
    with pytest.raises(TrainerError) as caught:
        train(BrokenEvaluation(), config, run, resume=False)
    said = str(caught.value)
    assert said.startswith("The evaluation of step ")
    assert " failed. KeyError: 'of a library'. Training has stopped; " in said
    assert said.endswith(f"mario-agents train --resume {run.path}")
    saved = CheckpointStore(run.checkpoint_path).load_latest().step
    assert saved >= int(said.split("step ")[1].split()[0]) > 0


def test_an_evaluation_that_was_due_meanwhile_begins_when_the_last_one_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []
    watch, free = LocalTopology.watch, Evaluator.free.fget
    assert free is not None

    def watching(topology: LocalTopology) -> None:
        steps.append(topology.coordinator.step)
        watch(topology)
        topology.coordinator.take_evaluation(wait=True)

    # As if the evaluation of step 128 took until step 300.
    busy = property(lambda self: free(self) and not 128 < steps[-1] < 300)
    monkeypatch.setattr(LocalTopology, "watch", watching)
    monkeypatch.setattr(Evaluator, "free", busy)
    run = RunDir.create(tmp_path / "run", trainer="any", config=TOY)
    train(EvaluatedInThread(), TOY, run, resume=False)
    found = [record.step for record in read_evaluations(run.evaluations_path)[0]]
    overdue = min(step for step in steps if step >= 300)
    assert found == [128, overdue, 384, 512, 640]
