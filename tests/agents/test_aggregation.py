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
def test_synchronous_waits_for_everyone_who_is_alive(events):
    pool, alive = FakePool(3), [True, True, True]
    aggregator = GradientAggregator(
        pool, lambda worker: alive[worker], max_staleness=0, synchronous=True
    )
    for event in events:
        if event[0] == "send":
            pool.rings[event[1]].append(FakePacket(event[1], 0, float(event[1])))
        elif event[0] == "alive":
            alive[event[1]] = event[2]
        else:
            there = [bool(pool.rings[w]) or w in aggregator._held for w in range(3)]
            count = aggregator.take(0)
            if all(there[w] for w in range(3) if alive[w]) and any(there):
                assert count == sum(there)
                workers = [w for w in range(3) if there[w]]
                assert [packet.worker for packet in aggregator._taken] == workers
                assert np.allclose(aggregator.mean, np.mean(workers))
            else:
                assert count == 0
            aggregator.release()
