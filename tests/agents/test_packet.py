"""The statistics of a learner on their way with its gradients."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mario_agents.core.gradients import trainable
from mario_agents.runtime.aggregation import GradientAggregator
from mario_agents.runtime.packet import PacketLayout
from mario_agents.runtime.shm.gradient_pool import SharedGradientPool
from mario_agents.runtime.shm.segments import SharedSegments
from mario_agents.runtime.transport import PacketType
from tests.agents.test_exchange import FakeLearner


class Sender:
    """A worker's learner, whose statistics are moved by hand."""

    def __init__(self) -> None:
        self.learner = FakeLearner()
        self.layout = PacketLayout(self.learner)
        self.scale = self.learner.model.scale

    def read(self, newest: FakeLearner) -> None:
        """Take the owner's statistics, as they come with the weights."""
        moved = self.layout.moved()
        self.scale.copy_(newest.model.scale)
        self.layout.count_from_here(moved)

    def packet(self, gradient: float = 0.0) -> NDArray[np.float32]:
        out = np.empty(self.layout.size, dtype=np.float32)
        self.write(gradient, out)
        return out

    def write(self, gradient: float, out: NDArray[np.float32]) -> None:
        gradients = [torch.full_like(p, gradient) for p in trainable(self.learner.model)]
        self.layout.pack(gradients, out)


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX shared memory")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_statistics_travel_with_gradients_exactly_and_move_by_their_mean(
    dtype: PacketType, tmp_path: Path
) -> None:
    """In packets of bfloat16, too, which hold 0.001 only to two digits."""
    senders, owner = [Sender(), Sender()], FakeLearner()
    layout = PacketLayout(owner)
    values = torch.tensor([[0.1234567, -7e-12], [1e20, 5.4321]])
    with SharedSegments(tmp_path / "leases") as segments:
        pool = SharedGradientPool.create(segments, workers=2, size=layout.size, dtype=dtype)
        aggregator = GradientAggregator(
            pool, lambda worker: True, max_staleness=9, synchronous=True
        )
        for sent in (values[:1].expand(2, 2), values):
            for worker, sender in enumerate(senders):
                sender.read(owner)
                sender.scale.copy_(sent[worker])
                assert pool.publish(worker, functools.partial(sender.write, worker + 1.0), 1)
            assert aggregator.take(1) == 2
            layout.move_statistics(aggregator.mean)
            aggregator.release()
            mean = sent.double().mean(dim=0).float()
            assert torch.allclose(owner.model.scale, mean, rtol=1e-6, atol=0)
            assert all(torch.all(each == 1.5) for each in layout.gradients(aggregator.mean))


def test_the_statistics_of_one_worker_arrive_bit_for_bit() -> None:
    sender, owner = Sender(), FakeLearner()
    layout = PacketLayout(owner)
    for seed in range(100):
        numbers = np.random.default_rng(seed).normal(size=2) * 10.0 ** (seed % 40 - 20)
        sender.scale.copy_(torch.from_numpy(numbers))
        layout.move_statistics(sender.packet())
        assert torch.equal(owner.model.scale, sender.scale)


def test_nobody_takes_back_what_another_worker_has_found() -> None:
    """A worker whose weights are old says how far it moved, not where all are to be."""
    owner, slow, fast = FakeLearner(), Sender(), Sender()
    layout = PacketLayout(owner)
    for sender in (slow, fast):
        sender.read(owner)
    for _ in range(10):
        fast.scale += 1.0
        layout.move_statistics(fast.packet())
        fast.read(owner)
    slow.scale += 0.5
    layout.move_statistics(slow.packet())
    assert owner.model.scale.tolist() == [10.5, 10.5]
    slow.scale += 0.25  # no weights came in between
    layout.move_statistics(slow.packet())
    assert owner.model.scale.tolist() == [10.75, 10.75]


def test_weights_that_come_between_the_batches_of_a_packet_take_nothing_back() -> None:
    owner, sender = FakeLearner(), Sender()
    layout = PacketLayout(owner)
    for newest in (10.0, 20.0):
        sender.scale += 1.0  # a batch
        owner.model.scale.fill_(newest)
        sender.read(owner)
    assert sender.scale.tolist() == [22.0, 22.0]
    sender.scale += 1.0
    layout.move_statistics(sender.packet())
    assert owner.model.scale.tolist() == [23.0, 23.0]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=80))
def test_stale_workers_move_running_means_as_a_list_of_their_movements(
    script: list[tuple[int, bool]],
) -> None:
    """Whoever sends, and whenever weights are read: against a sum in order, in double precision."""
    rate, rng = 0.1, np.random.default_rng(0)
    owner, senders = FakeLearner(), [Sender() for _ in range(4)]
    layout = PacketLayout(owner)
    expected, theirs = np.zeros(2), np.zeros((4, 2))
    for worker, reads in script:
        found = rng.normal(3.0, 2.0, 2)
        moved = rate * (found - theirs[worker])
        theirs[worker] += moved
        expected += moved
        sender = senders[worker]
        sender.scale.lerp_(torch.from_numpy(found).float(), rate)
        layout.move_statistics(sender.packet())
        if reads:
            sender.read(owner)
            theirs[worker] = expected
    np.testing.assert_allclose(owner.model.scale.numpy(), expected, rtol=1e-5, atol=1e-5)


def test_with_stale_workers_the_statistic_is_where_one_worker_would_have_it() -> None:
    """Four workers, each up to seven updates behind, and a range that the batches agree on."""
    rng = np.random.default_rng(1)
    owner, senders = FakeLearner(), [Sender() for _ in range(4)]
    layout, alone = PacketLayout(owner), np.zeros(2)
    for _ in range(400):
        found = rng.normal([-2.0, 5.0], 0.1)
        sender = senders[rng.integers(4)]
        sender.scale.lerp_(torch.from_numpy(found).float(), 0.01)
        alone += 0.01 * (found - alone)
        layout.move_statistics(sender.packet())
        if rng.random() < 0.5:
            senders[rng.integers(4)].read(owner)
    np.testing.assert_allclose(owner.model.scale.numpy(), alone, atol=0.25)
