"""Gradients of several batches that make one update, in each way of working together."""

from __future__ import annotations

import dataclasses
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mario_agents.algos.dqn.config import DDQNConfig
from mario_agents.algos.impala.algorithm import A3CAlgorithm
from mario_agents.algos.impala.config import ImpalaConfig
from mario_agents.algos.ppo.config import PPOConfig
from mario_agents.config import TrainConfig
from mario_agents.core.algorithm import Algorithm, WorkerContext
from mario_agents.core.dataset import Dataset, NumpyBatch
from mario_agents.core.gradients import GradientComputer, Gradients, trainable
from mario_agents.core.types import Batch, Learner, Step
from mario_agents.run import Checkpoint, CheckpointStore, RunDir
from mario_agents.runtime.learning import BatchLearning
from mario_agents.runtime.run import train
from mario_agents.runtime.saved import SavedLearning
from mario_agents.runtime.shm.heartbeat import SharedHeartbeat
from mario_agents.runtime.worker import TrainingWorker
from mario_agents.testing.corridor import CORRIDOR
from mario_agents.testing.toy import ToyAlgorithm, ToyConfig
from mario_envkit.errors import CheckpointError
from tests.agents.algorithms import ApexCorridorAlgorithm, CorridorAlgorithm, PPOCorridorAlgorithm

CPU = torch.device("cpu")
STEP = 0.1


class Line(Learner):
    """Fits a line to points; begins with the same one each time."""

    def __init__(self) -> None:
        self.model = nn.Linear(3, 1)
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.fill_(0.5)

    def compute_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        loss = (self.model(batch["x"]).squeeze(1) - batch["y"]).square().mean()
        return loss, {"loss": loss.detach()}

    def move(self, gradients: list[Tensor]) -> None:
        with torch.no_grad():
            for parameter, gradient in zip(self.model.parameters(), gradients, strict=True):
                parameter -= STEP * gradient


class Rounds(Dataset):
    """Batches that are put into it."""

    def __init__(self) -> None:
        self.due: deque[NumpyBatch] = deque()
        self.at: list[int] = []

    def add(self, step: Step, worker: int) -> None:
        raise AssertionError("nobody plays")

    def batches(self, at: int) -> Iterator[NumpyBatch]:
        self.at.append(at)
        while self.due:
            yield self.due.popleft()


def points(count: int) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(count)
    return [
        {"x": rng.normal(size=(4, 3)).astype(np.float32),
         "y": rng.normal(size=4).astype(np.float32)}
        for _ in range(count)
    ]  # fmt: skip


def naive(batches: list[dict[str, np.ndarray]], accumulate: int) -> tuple[Line, int]:
    """Batch after batch; as soon as there are enough, their mean is an update."""
    learner, updates = Line(), 0
    gradients: list[list[Tensor]] = []
    for batch in batches:
        tensors = {name: torch.from_numpy(array) for name, array in batch.items()}
        loss, _ = learner.compute_loss(tensors)
        gradients.append(list(torch.autograd.grad(loss, trainable(learner.model))))
        if len(gradients) == accumulate:
            learner.move([torch.stack(each).mean(dim=0) for each in zip(*gradients, strict=True)])
            gradients.clear()
            updates += 1
    return learner, updates


def learning(learner: Line, dataset: Dataset, accumulate: int) -> BatchLearning:
    heartbeat = SharedHeartbeat.private(workers=1)
    return BatchLearning(
        learner, CPU, dataset, heartbeat, heartbeat.row(0), lambda _: None, accumulate=accumulate,
        cuda_graphs=False,
    )  # fmt: skip


def assert_same(ours: Line, theirs: Line) -> None:
    for name, weight in theirs.model.state_dict().items():
        torch.testing.assert_close(ours.model.state_dict()[name], weight)


@settings(max_examples=60)
@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=8), st.integers(1, 7),
    st.sampled_from([None, 1, 2]),
)  # fmt: skip
def test_so_many_batches_are_an_update_whichever_rounds_they_are_of(rounds, accumulate, most):
    batches = points(sum(rounds))
    learner, dataset, updates = Line(), Rounds(), 0
    ours = learning(learner, dataset, accumulate)
    left = deque(batches)
    for count in rounds:
        dataset.due.extend(left.popleft() for _ in range(count))
        while True:
            for gradients in ours.gradients(0, most=most):
                learner.move(gradients)
                updates += 1
            if most is None or not dataset.due:
                break
    expected, expected_updates = naive(batches, accumulate)
    assert updates == expected_updates == len(batches) // accumulate
    assert ours.computer.batches == len(batches) % accumulate
    assert_same(learner, expected)


def test_a_checkpoint_has_the_batches_that_are_no_update_yet(tmp_path: Path) -> None:
    batches, store = points(7), CheckpointStore(tmp_path)
    learner, dataset = Line(), Rounds()
    for count in (2, 2, 2, 1):  # interrupted after each round
        dataset.due.extend(batches[:count])
        del batches[:count]
        ours = learning(learner, dataset, 3)
        saved = SavedLearning(ours, [0])
        if len(store):
            saved.restore(store, store.load_latest())
        for gradients in ours.gradients(0):
            learner.move(gradients)
        store.save(count, saved.tensors(), saved.state(), saved.chunks())
    expected, updates = naive(points(7), 3)
    assert updates == 2
    assert_same(learner, expected)
    other = SavedLearning(learning(Line(), dataset, 3), [0])
    computer = GradientComputer(Line(), CPU)
    with pytest.raises(CheckpointError, match="do not fit"):
        computer.restore([torch.zeros(2, 2)], 1)
    other.restore(store, store.load_latest())
    assert other.state()["accumulated"] == 1


class Versions:
    """An exchange that has newer weights whenever it is asked, and remembers what it is given."""

    def __init__(self) -> None:
        self.version = 0
        self.submitted: list[int] = []

    def begin_round(self) -> bool:
        self.sync()
        return True

    def sync(self) -> None:
        self.version += 1

    def submit(self, gradients: Gradients, version: int) -> bool:
        self.submitted.append(version)
        return True


class Bare(TrainingWorker):
    """A worker that only learns."""

    def _collect(self) -> Any:
        return None

    def _report(self, collected: Any) -> None:
        return


def bare(heartbeat: SharedHeartbeat, dataset: Any, exchange: Any, *, synchronous: bool) -> Bare:
    """The first of its workers."""
    nothing: Any = SimpleNamespace(trained=lambda _: None, submitted=lambda: None)
    player: Any = None
    return Bare(
        WorkerContext(0, heartbeat.workers, 0, 0, 0, CPU), Line(), player, player, player, dataset,
        exchange, heartbeat, nothing, collect_steps=1, accumulate_grads=3, log_interval=1,
        cuda_graphs=False, schedules={}, synchronous=synchronous,
    )  # fmt: skip


def test_a_packet_is_as_old_as_the_weights_of_its_first_batch() -> None:
    """Or gradients of weights that are too old would pass for new ones."""
    dataset, exchange = Rounds(), Versions()
    worker = bare(SharedHeartbeat.private(workers=1), dataset, exchange, synchronous=False)
    versions = []
    for count in (1, 0, 1, 4, 2, 1):
        dataset.due.extend(points(count))
        worker.advance()
        versions.append(exchange.version)
    # Rounds begin with versions 1, 2, 3, 4, 7 and 8, and after a packet there is a newer one.
    assert versions == [1, 2, 3, 6, 7, 9]
    assert exchange.submitted == [1, 5, 7]


def test_synchronous_workers_learn_at_a_step_that_no_other_worker_decides_on() -> None:
    """How far the others have counted is a matter of time, also while this one gets ready."""
    heartbeat = SharedHeartbeat.private(workers=2)
    own, other = heartbeat.row(0), heartbeat.row(1)
    other.add("steps", 64)
    dataset = Rounds()
    worker = bare(heartbeat, dataset, Versions(), synchronous=True)
    for made in (0, 64, 64):
        other.add("steps", made)
        own.add("steps", made)
        worker.advance()
    assert dataset.at == [0, 128, 256]


TOY = ToyConfig(total_steps=1600, num_envs=4, log_interval=64, device="cpu", ui=False)
needs_processes = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX shared memory")


def trained(path: Path, algorithm: Algorithm[Any, Any], config: TrainConfig) -> Checkpoint:
    run = RunDir.create(path, trainer="any", config=config)
    train(algorithm, config, run, resume=False)
    return CheckpointStore(run.checkpoint_path).load_latest()


@needs_processes
@pytest.mark.slow
@pytest.mark.parametrize(
    "how",
    [
        {"workers": 2},
        {"workers": 2, "synchronous": True},
        {"workers": 2, "share": "experience"},
    ],
)
def test_workers_whose_rounds_have_one_batch_accumulate_too(tmp_path: Path, how: Any) -> None:
    config = dataclasses.replace(TOY, accumulate_grads=4, **how)
    state = trained(tmp_path / "run", ToyAlgorithm(), config).state
    batches = [worker["train_steps"] for worker in state["counters"]]
    updater = state["updater"]
    if "share" in how:
        assert sum(batches) == 0  # it is the coordinator who learns
        assert updater["updates"] == updater["packets"] == updater["packets"]
        batches = [4 * updater["packets"] + state["accumulated"]]
        assert 0 <= state["accumulated"] < 4
    else:
        assert sum(batches) >= 25
        assert [w["packets"] for w in state["counters"]] == [count // 4 for count in batches]
        assert updater["packets"] == sum(count // 4 for count in batches)
    assert 0 < updater["updates"] <= updater["packets"]


@dataclasses.dataclass(frozen=True)
class Case:
    """A short run in one process, and how many batches it has."""

    algorithm: Algorithm[Any, Any]
    config: TrainConfig
    batches: int


class A3CCorridor(A3CAlgorithm):
    """A3C in the corridor."""

    def env_kwargs(self, config: Any) -> dict[str, Any]:
        return {"id": CORRIDOR, "size": 36}


SHORT: dict[str, Any] = {"num_envs": 4, "device": "cpu", "ui": False, "hidden": 8,
                         "observation": "pixels", "eval_interval": 0}  # fmt: skip
REPLAY: dict[str, Any] = {"learning_starts": 16, "buffer_size": 600, "batch_size": 8,
                          "collect_steps": 16, "train_every": 8}  # fmt: skip
CASES = {
    "ddqn": lambda k: Case(
        CorridorAlgorithm(), DDQNConfig(**SHORT, **REPLAY, total_steps=208, accumulate_grads=k), 26
    ),
    "apex": lambda k: Case(
        ApexCorridorAlgorithm(),
        ApexCorridorAlgorithm.config_class(
            **SHORT, **REPLAY, total_steps=208, accumulate_grads=k
        ),
        26,
    ),
    "a3c": lambda k: Case(
        A3CCorridor(),
        ImpalaConfig(**SHORT, network="mlp", rollout_steps=4, total_steps=416, accumulate_grads=k),
        26,
    ),
    "ppo": lambda k: Case(
        PPOCorridorAlgorithm(),
        PPOConfig(
            **SHORT, rollout_steps=8, minibatch_size=16, epochs=1, total_steps=416,
            accumulate_grads=k,
        ),
        26,
    ),
}  # fmt: skip


@pytest.mark.parametrize("accumulate", [1, 4])
@pytest.mark.parametrize("name", CASES)
def test_the_learning_rate_falls_over_the_updates_there_are(
    tmp_path: Path, name: str, accumulate: int
) -> None:
    case = CASES[name](accumulate)
    state = trained(tmp_path / "run", case.algorithm, case.config).state
    assert state["counters"][0]["train_steps"] == case.batches
    updates = case.batches // accumulate
    assert state["updater"] == {"updates": updates, "packets": updates}
    # Replay learns from the round with which it begins, too.
    assert 0 <= updates - case.config.total_packets <= (2 if name in ("ddqn", "apex") else 0)
