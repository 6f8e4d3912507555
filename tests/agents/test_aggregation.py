"""Which packets become which update."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mario_agents.runtime.aggregation import GradientAggregator


@dataclass
class FakePacket:
    worker: int
    version: int
    value: float
    released: bool = False
    empty: bool = False

    def copy_to(self, out):
        assert not self.released
        out[:] = self.value

    def add_to(self, total):
        assert not self.released
        total += self.value

    def release(self):
        assert not self.released
        self.released = True


@dataclass
class FakePool:
    workers: int
    size: int = 3
    rings: list[deque[FakePacket]] = field(default_factory=list)

    def __post_init__(self):
        self.rings = [deque() for _ in range(self.workers)]

    def poll(self, worker):
        return self.rings[worker].popleft() if self.rings[worker] else None


events = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(0, 2), st.integers(0, 4)),
        st.tuples(st.just("end"), st.integers(0, 2)),
        st.tuples(st.just("alive"), st.integers(0, 2), st.booleans()),
        st.just(("take",)),
    ),
    max_size=60,
)


@given(events, st.integers(0, 3))
def test_asynchronous_updates_take_everything_that_is_fresh_once(events, max_staleness):
    pool = FakePool(3)
    aggregator = GradientAggregator(
        pool, lambda worker: True, max_staleness=max_staleness, synchronous=False
    )
    sent, version, used, value = [], 5, 0, 0.0
    for event in [*events, *[("take",)] * 60]:
        if event[0] == "end":
            continue  # only those who wait for one another have rounds
        if event[0] == "send":
            value += 1.0
            packet = FakePacket(event[1], version - event[2], value)
            sent.append(packet)
            pool.rings[event[1]].append(packet)
        elif event[0] == "take":
            before = [packet for packet in sent if packet.released]
            count = aggregator.take(version)
            if count:
                taken = aggregator._taken
                assert len({packet.worker for packet in taken}) == count  # one of each at most
                assert all(version - packet.version <= max_staleness for packet in taken)
                mean = np.mean([packet.value for packet in taken], dtype=np.float32)
                assert np.allclose(aggregator.mean, mean)
                behind = np.mean([version - packet.version for packet in taken])
                assert aggregator.staleness == behind
                used += count
                version += 1
            aggregator.release()
            assert len(before) <= len([packet for packet in sent if packet.released])
    assert used + aggregator.stale == len(sent)
    assert all(packet.released for packet in sent)


@given(events)
def test_synchronous_updates_wait_for_everyone_in_the_middle_of_a_round(events):
    """Against lists: what each worker has sent that led to no update yet."""
    pool, awaited = FakePool(3), [True, True, True]
    aggregator = GradientAggregator(
        pool, lambda worker: awaited[worker], max_staleness=0, synchronous=True
    )
    sent: list[list[FakePacket]] = [[], [], []]
    for event in [*events, ("take",)]:
        if event[0] in ("send", "end"):
            worker = event[1]
            packet = FakePacket(worker, 0, float(worker), empty=event[0] == "end")
            sent[worker].append(packet)
            pool.rings[worker].append(packet)
        elif event[0] == "alive":
            awaited[event[1]] = event[2]
        else:
            expected = expected_update(sent, awaited)
            assert aggregator.take(0) == len(expected)
            assert aggregator._taken == expected
            if expected:
                assert np.allclose(aggregator.mean, np.mean([p.value for p in expected]))
            aggregator.release()
            left = [packet for queue in sent for packet in queue]
            assert not any(packet.released for packet in left)


def expected_update(sent, awaited):
    """The packets of the next update, taken out of the lists, in the workers' order."""
    while any(sent) and all(sent[w] or not awaited[w] for w in range(3)):
        heads = [queue[0] for queue in sent if queue]
        gradients = [packet for packet in heads if not packet.empty]
        for packet in gradients or heads:  # if all have ended their rounds, new ones begin
            sent[packet.worker].pop(0)
        if gradients:
            return gradients
        assert not any(packet.released for packet in heads)
    return []


def test_workers_that_begin_at_different_times_play_together_from_the_next_round_on():
    """A replacement comes in the middle of a round of the other one."""
    pool = FakePool(2)
    aggregator = GradientAggregator(pool, lambda worker: True, max_staleness=0, synchronous=True)

    def send(worker: int, *, empty: bool = False) -> FakePacket:
        packet = FakePacket(worker, 0, 1.0, empty=empty)
        pool.rings[worker].append(packet)
        return packet

    def take() -> list[int]:
        aggregator.take(0)
        workers = [packet.worker for packet in aggregator._taken]
        aggregator.release()
        return workers

    late = send(1, empty=True)
    send(0)
    assert take() == [0]  # it is not waited for
    assert not late.released
    early = send(0, empty=True)
    assert take() == []
    assert late.released
    assert early.released
    send(0)
    assert take() == []
    send(1)
    assert take() == [0, 1]
