"""A worker's way to the coordinator through shared memory: waiting, leaving, weights."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import pytest
import torch
from torch import nn

from mario_agents.core.gradients import trainable
from mario_agents.core.types import Batch, Learner
from mario_agents.runtime.aggregation import GradientAggregator
from mario_agents.runtime.exchange import SharedExchange
from mario_agents.runtime.packet import PacketLayout
from mario_agents.runtime.shm.gradient_pool import SharedGradientPool
from mario_agents.runtime.shm.heartbeat import SharedHeartbeat
from mario_agents.runtime.shm.segments import SharedSegments
from mario_agents.runtime.shm.shared_vector import SharedVector
from mario_agents.runtime.shm.shared_weights import SharedWeights
from mario_agents.runtime.transport import Weights, WeightsWriter
from mario_agents.runtime.weights import CopiedWeights, InPlaceWeights, weight_layout
from mario_agents.telemetry import Stopwatch
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX shared memory")


class Net(nn.Module):
    """Trainable weights, a frozen target, a counter and a statistic."""

    def __init__(self) -> None:
        super().__init__()
        self.online = nn.Linear(2, 3)
        self.target = nn.Linear(2, 3).requires_grad_(False)
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))
        self.register_buffer("scale", torch.zeros(2))


class FakeLearner(Learner):
    def __init__(self) -> None:
        self.model = Net()

    def compute_loss(self, batch: Batch) -> NoReturn:
        raise AssertionError("nothing is learned here")

    def statistics(self) -> dict[str, torch.Tensor]:
        return {"scale": self.model.scale}


@dataclass
class Ends:
    """Both ends of an exchange in one process."""

    learner: FakeLearner
    owner: FakeLearner
    pool: SharedGradientPool
    weights: Weights
    writer: WeightsWriter
    heartbeat: SharedHeartbeat
    stopwatch: Stopwatch = field(default_factory=lambda: Stopwatch(["time_waiting"]))

    def exchange(self, *, synchronous: bool) -> SharedExchange:
        return SharedExchange(
            0,
            self.learner,
            self.pool,
            self.weights,
            self.heartbeat,
            synchronous=synchronous,
            stopwatch=self.stopwatch,
        )

    def gradients(self, value: float) -> list[torch.Tensor]:
        return [torch.full_like(p, value) for p in trainable(self.learner.model)]


@pytest.fixture(params=["copied", "in place"])
def ends(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Ends]:
    learner, owner = FakeLearner(), FakeLearner()
    with SharedSegments(tmp_path / "leases") as segments:
        size, weights_size = PacketLayout(learner).size, weight_layout(learner.model).size
        weights: Weights = (
            CopiedWeights(SharedWeights.create(segments, size=weights_size))
            if request.param == "copied"
            else InPlaceWeights(SharedVector.create(segments, size=weights_size))
        )
        yield Ends(
            learner,
            owner,
            SharedGradientPool.create(segments, workers=1, size=size, slots=2),
            weights,
            weights.writer(owner.model),
            SharedHeartbeat.create(segments, workers=1),
        )


def in_background(call: Callable[[], object]) -> Callable[[], object]:
    """Start a call in a thread; the result waits for its end."""
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(call()), daemon=True)
    thread.start()

    def wait() -> object:
        thread.join(PATIENCE)
        assert results, "the call never came back"
        return results[0]

    return wait


def test_weights_targets_and_buffers_arrive(ends: Ends) -> None:
    exchange = ends.exchange(synchronous=False)
    with torch.no_grad():
        ends.owner.model.seen += 2**40 + 1
    wait = in_background(exchange.sync)  # there are no weights yet
    time.sleep(0.05)
    assert exchange.version == 0
    ends.writer.publish()
    wait()
    assert exchange.version == 1
    ours, theirs = ends.learner.model.state_dict(), ends.owner.model.state_dict()
    for name in theirs:
        assert torch.equal(ours[name], theirs[name]), name
    parameter = ends.learner.model.online.weight
    exchange.sync()
    assert ends.learner.model.online.weight is parameter  # optimizers and others hold on to it


def test_a_full_ring_makes_a_worker_wait_and_beat(ends: Ends) -> None:
    exchange = ends.exchange(synchronous=False)
    ends.writer.publish()
    exchange.sync()
    assert all(exchange.submit(ends.gradients(value), exchange.version) for value in (1.0, 2.0))
    wait = in_background(lambda: exchange.submit(ends.gradients(3.0), exchange.version))
    for _ in range(2):  # it rests between two beats
        before = ends.heartbeat.row(0).read().lived
        until(lambda before=before: ends.heartbeat.row(0).read().lived > before)
    assert 0 < ends.stopwatch.lap()["time_waiting"] <= 1
    assert ends.pool.waiting(0) == 2
    aggregator = GradientAggregator(
        ends.pool, lambda worker: True, max_staleness=9, synchronous=False
    )
    means = []
    while len(means) < 3:
        if aggregator.take(1):
            means.append(aggregator.mean[0])
        aggregator.release()
    assert wait() is True
    assert means == [1.0, 2.0, 3.0]
    assert ends.pool.stats(0).dropped == 0


def test_who_waits_leaves_when_the_run_stops(ends: Ends) -> None:
    exchange = ends.exchange(synchronous=True)
    ends.writer.publish()
    exchange.sync()
    assert exchange.submit(ends.gradients(1.0), exchange.version)
    syncing = in_background(exchange.sync)
    time.sleep(0.05)
    ends.heartbeat.stop()
    syncing()
    assert exchange.submit(ends.gradients(2.0), exchange.version)  # there was room
    assert not exchange.submit(ends.gradients(3.0), exchange.version)
    assert ends.pool.waiting(0) == 2


def test_a_round_begins_when_all_have_ended_theirs(ends: Ends) -> None:
    exchange = ends.exchange(synchronous=True)
    aggregator = GradientAggregator(
        ends.pool, lambda worker: True, max_staleness=0, synchronous=True
    )
    ends.writer.publish()
    beginning = in_background(exchange.begin_round)
    until(lambda: ends.pool.waiting(0) == 1)
    assert exchange.version == 0
    assert aggregator.take(1) == 0  # there is no other worker
    assert beginning() is True
    assert exchange.version == 1
    assert ends.pool.waiting(0) == 0
    ending = in_background(exchange.begin_round)
    until(lambda: ends.pool.waiting(0) == 1)
    ends.heartbeat.stop()
    assert ending() is False


def test_new_synchronous_weights_are_those_of_the_own_gradients(ends: Ends) -> None:
    exchange = ends.exchange(synchronous=True)
    aggregator = GradientAggregator(
        ends.pool, lambda worker: True, max_staleness=0, synchronous=True
    )
    ends.writer.publish()
    exchange.sync()
    for version in range(1, 30):
        assert exchange.version == version
        assert exchange.submit(ends.gradients(float(version)), exchange.version)
        syncing = in_background(exchange.sync)
        while not aggregator.take(ends.writer.version):
            pass
        assert all(
            torch.all(g == version) for g in PacketLayout(ends.owner).gradients(aggregator.mean)
        )
        with torch.no_grad():
            ends.owner.model.online.weight.fill_(version + 1)
        ends.writer.publish()
        aggregator.release()
        syncing()
        assert torch.all(ends.learner.model.online.weight == version + 1)
