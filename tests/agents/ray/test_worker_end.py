"""What the coordinator's actor does with the calls of a worker, in whatever order they come."""

from __future__ import annotations

import asyncio
import random

import numpy as np
import pytest

from mario_agents.runtime.ray.coordinator_actor import LoopNotifier, WorkerEnd
from mario_agents.runtime.ray.messages import Report
from mario_agents.runtime.shm.byte_ring import ByteRing
from mario_agents.runtime.shm.heartbeat import SharedHeartbeat


def worker_end(slots: int = 8) -> WorkerEnd:
    news = LoopNotifier(asyncio.new_event_loop())
    return WorkerEnd(ByteRing.private(slots=slots, capacity=8, producer=news), news)


def report(generation: int, number: int) -> Report:
    return Report(generation, number, SharedHeartbeat.private(workers=1).row(0).read())


@pytest.mark.parametrize("seed", range(5))
def test_packets_are_in_order_and_each_is_there_once(seed: int) -> None:
    end = worker_end()
    calls = [(number, np.full(8, number, dtype=np.uint8)) for number in (*range(6), 2, 4, 0)]
    random.Random(seed).shuffle(calls)
    for number, data in calls:
        end.put(number, data, tag=10 + number)
    assert end.arrived == 6
    for number in range(6):
        packet = end.ring.receive()
        assert packet is not None
        assert (packet.tag, packet.data.tolist()) == (10 + number, [number] * 8)
    assert end.ring.receive() is None


def test_a_packet_that_is_missing_is_waited_for() -> None:
    end = worker_end()
    end.put(1, np.zeros(0, dtype=np.uint8), tag=1)
    assert end.ring.receive() is None
    end.put(0, np.zeros(0, dtype=np.uint8), tag=0)
    assert [end.ring.receive().tag for _ in range(2)] == [0, 1]  # type: ignore[union-attr]


def test_who_was_replaced_is_not_listened_to() -> None:
    end = worker_end()
    assert end.told(report(0, 1))
    assert end.told(report(0, 3))
    assert not end.told(report(0, 2))  # an older one, which came later
    end.put(1, np.zeros(0, dtype=np.uint8), tag=1)
    end.replaced(1)
    assert not end.told(report(0, 4))
    assert end.told(report(1, 1))
    # What the predecessor sent too early is not the successor's.
    end.put(0, np.zeros(0, dtype=np.uint8), tag=7)
    assert end.arrived == 1


def test_a_row_of_another_clock_is_silent_for_as_long() -> None:
    theirs, ours = (SharedHeartbeat.private(workers=1) for _ in range(2))
    theirs.row(0).join()
    theirs.row(0).add("steps", 5)
    told = theirs.row(0).read()
    ours.row(0).adopt(told)
    found = ours.row(0).read()
    assert (found.pid, found.generation, found.counters) == (told.pid, 1, told.counters)
    # It has not beaten since: however inexact the ages are, that is no new beat.
    ours.row(0).adopt(theirs.row(0).read())
    assert ours.row(0).read().beat == found.beat
    theirs.row(0).beat()
    ours.row(0).adopt(theirs.row(0).read())
    assert ours.row(0).read().beat > found.beat
    ours.row(0).vacate()
    assert not ours.row(0).taken
