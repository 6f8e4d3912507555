"""Training with worker processes where nothing goes wrong, and where the algorithm does."""

from __future__ import annotations

import csv
import dataclasses
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from mario_agents.algos.dqn.config import DDQNConfig
from mario_agents.config import TrainConfig
from mario_agents.core.algorithm import Algorithm
from mario_agents.report.rundata import RunData
from mario_agents.run import Checkpoint, CheckpointStore, RunDir
from mario_agents.run.records import read_evaluations
from mario_agents.runtime.run import train
from mario_agents.testing.toy import ToyAlgorithm, ToyConfig
from mario_envkit.errors import TrainerError
from tests.agents.algorithms import BrokenWorkers, CorridorAlgorithm, Diverging, HeldUpEvaluation

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX shared memory")
TOY = ToyConfig(
    total_steps=1600,
    num_envs=4,
    checkpoint_interval=800,
    log_interval=400,
    device="cpu",
    ui=False,
)
DDQN = DDQNConfig(
    observation="pixels",
    frame_stack=4,
    prioritized=True,
    n_step=3,
    train_every=4,
    total_steps=320,
    num_envs=4,
    learning_starts=64,
    buffer_size=600,
    batch_size=8,
    collect_steps=16,
    hidden=8,
    epsilon_decay=300,
    lr=1e-3,
    lr_warmup=10,
    device="cpu",
    ui=False,
)


@pytest.fixture(autouse=True)
def _threads() -> Any:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def trained(path: Path, algorithm: Algorithm[Any, Any], config: TrainConfig) -> Checkpoint:
    """A run to its end."""
    train(algorithm, config, RunDir.create(path, trainer="any", config=config), resume=False)
    return latest(path)


def latest(path: Path) -> Checkpoint:
    return CheckpointStore(path / "checkpoint").load_latest()


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.slow
def test_a_synchronous_worker_does_what_one_in_this_process_does(
    tmp_path: Path, accumulate: int
) -> None:
    config = dataclasses.replace(DDQN, accumulate_grads=accumulate)
    ours = trained(tmp_path / "local", CorridorAlgorithm(), config)
    apart = dataclasses.replace(config, workers=1, synchronous=True)
    theirs = trained(tmp_path / "apart", CorridorAlgorithm(), apart)
    # A round of 16 steps has four batches, and packets do not end with it.
    updates = 17 * 4 // accumulate
    assert ours.state["updater"]["updates"] == theirs.state["updater"]["updates"] == updates
    learned = [name for name in ours.tensors if name.startswith(("model.", "optimizer."))]
    assert len(learned) > 30
    for name in learned:
        assert torch.equal(ours.tensors[name], theirs.tensors[name]), name
    for key in ("steps", "episodes", "deaths", "flags", "train_steps", "packets"):
        assert ours.state["counters"][0][key] == theirs.state["counters"][0][key], key


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(("interval", "evaluated"), [(90, True), (1000, False)])
@pytest.mark.slow
def test_a_run_ends_with_an_evaluation_of_its_last_weights(
    tmp_path: Path, workers: int, interval: int, evaluated: bool
) -> None:
    """Unless it is too short for any."""
    config = dataclasses.replace(
        DDQN, workers=workers, total_steps=160, eval_interval=interval, eval_episodes=1
    )
    end = trained(tmp_path / "run", CorridorAlgorithm(), config)
    path = RunDir.open(tmp_path / "run").evaluations_path
    records = read_evaluations(path)[0] if path.exists() else []
    steps = [record.step for record in records]
    assert steps[-1:] == ([end.step] if evaluated else [])
    assert len(steps) == len(set(steps))


@pytest.mark.slow
def test_two_resumes_of_a_synchronous_worker_are_equal(tmp_path: Path) -> None:
    config = dataclasses.replace(DDQN, workers=1, synchronous=True, total_steps=160)
    trained(tmp_path / "a", CorridorAlgorithm(), config)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    more = dataclasses.replace(config, total_steps=320)
    for name in "ab":
        train(CorridorAlgorithm(), more, RunDir.open(tmp_path / name), resume=True)
    ours, theirs = latest(tmp_path / "a"), latest(tmp_path / "b")
    assert ours.state["updater"]["updates"] == theirs.state["updater"]["updates"] > 24
    for name in ours.tensors:
        assert torch.equal(ours.tensors[name], theirs.tensors[name]), name


def summed_steps(path: Path) -> float:
    """The steps of all workers together that TensorBoard shows last."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(RunDir.open(path).tensorboard_path))
    events.Reload()
    return float(events.Scalars("run/steps")[-1].value)


@pytest.mark.slow
def test_workers_can_come_and_go_between_resumes(tmp_path: Path) -> None:
    path = tmp_path / "run"
    two = dataclasses.replace(TOY, workers=2, synchronous=True)
    first = trained(path, ToyAlgorithm(), two)
    updates = first.state["updater"]
    assert updates["packets"] == sum(worker["packets"] for worker in first.state["counters"])
    # Each round of either is a packet, and an update takes one of each (but for the last ones).
    assert updates["packets"] - 2 * updates["updates"] in (-2, -1, 0)
    alone = dataclasses.replace(TOY, total_steps=first.step + 800)
    train(ToyAlgorithm(), alone, RunDir.open(path), resume=True)
    second = latest(path)
    assert second.step == first.step + 832  # rounds of 64
    assert second.state["updater"]["updates"] == updates["updates"] + 13
    # What a worker counted that is no more stays its own, in sums too.
    before, after = first.state["counters"], second.state["counters"]
    assert after[1] == before[1]
    assert after[0]["steps"] == before[0]["steps"] + 832
    assert RunData.load(path).total("steps") == second.step
    assert summed_steps(path) == second.step
    again = dataclasses.replace(two, total_steps=second.step + 800)
    train(ToyAlgorithm(), again, RunDir.open(path), resume=True)
    third = latest(path)
    assert third.step >= second.step + 800
    counters = third.state["counters"]
    assert sum(worker["steps"] for worker in counters) == third.step
    assert all(
        worker["steps"] > known["steps"] for worker, known in zip(counters, after, strict=True)
    )
    assert RunData.load(path).total("steps") == third.step
    # It has learned which action pays, whoever it was who learned it.
    reward = third.tensors["model.reward"][:81:20]
    assert reward.argmax(dim=1).tolist() == [1] * 5


@pytest.mark.slow
def test_workers_that_cannot_start_end_the_run_in_a_sentence(tmp_path: Path) -> None:
    config = dataclasses.replace(TOY, workers=1)
    with pytest.raises(TrainerError) as caught:
        trained(tmp_path / "run", BrokenWorkers(), config)
    assert str(caught.value) == (
        "Worker 0 ended 3 times in a row soon after its start, so the run was stopped: "
        "RuntimeError: the cartridge is dusty"
    )


@pytest.mark.slow
def test_divergence_ends_the_run_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match="not finite, so training has diverged"):
        trained(tmp_path / "run", Diverging(), dataclasses.replace(TOY, workers=1))


def test_an_algorithm_that_workers_could_not_import_is_refused(tmp_path: Path) -> None:
    class Local(ToyAlgorithm):
        pass

    with pytest.raises(TrainerError, match="must be a class at the top of an importable module"):
        trained(tmp_path / "run", Local(), dataclasses.replace(TOY, workers=1))
    short = dataclasses.replace(TOY, total_steps=128)
    assert trained(tmp_path / "local", Local(), short).step == 128


@pytest.mark.slow
def test_evaluation_goes_on_beside_the_updates(tmp_path: Path) -> None:
    """However long it takes: updates go on while it is held up."""
    config = dataclasses.replace(TOY, workers=1, eval_interval=640, eval_episodes=2)
    updates = trained(tmp_path / "run", HeldUpEvaluation(), config).state["updater"]["updates"]
    records, _ = read_evaluations(tmp_path / "run" / "evaluations.jsonl")
    # It ended when step 1280 was there, and that of the end is the other one.
    assert records[0].step < 1280 <= records[-1].step
    assert len(records) == 2
    assert updates == 25
    with (tmp_path / "run" / "coordinator.csv").open() as file:
        last = list(csv.DictReader(file))[-1]
    assert float(last["eval_x"]) == sum(each.best_x for each in records[-1].plain) / 2
    assert 0 < float(last["optimizing"]) + float(last["waiting"]) <= 1


def test_the_time_budget_ends_a_run_with_workers(tmp_path: Path) -> None:
    config = dataclasses.replace(TOY, workers=1, total_steps=10**9, max_minutes=1e-9)
    assert trained(tmp_path / "run", ToyAlgorithm(), config).step < 10**9
