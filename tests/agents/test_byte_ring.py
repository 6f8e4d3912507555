"""The ring of bytes, as a channel: packets of any length, in order, each whole or not at all.

Every interleaving of a producer and a consumer is in ``test_gradient_pool.py``, on packets of one
length.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mario_agents.runtime.shm.byte_ring import ByteRing
from mario_agents.runtime.shm.heartbeat import SharedHeartbeat
from mario_agents.runtime.shm.segments import SharedSegments
from mario_agents.runtime.transport import Board, Channel, Packet
from mario_envkit.errors import OptionError, RunError

from .hammering import running
from .stepping import Crashed

SLOTS, CAPACITY = 3, 100
LONG = 60.0
events = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.binary(max_size=CAPACITY), st.integers(-5, 2**40)),
        st.tuples(st.just("die"), st.binary(min_size=1, max_size=CAPACITY), st.integers(0, 4)),
        st.tuples(st.just("receive")),
        st.tuples(st.just("release")),
    ),
    max_size=60,
)


def send(channel: Channel, data: bytes, tag: int = 0) -> bool:
    return channel.send(
        len(data), lambda out: np.copyto(out, np.frombuffer(data, np.uint8)), tag=tag
    )


class CrashAt:
    """A fence that ends the call the ``countdown``-th time, counting from 0."""

    def __init__(self, countdown: int, fence: Callable[[], None]) -> None:
        self.countdown, self.fence = countdown, fence

    def __call__(self) -> None:
        if self.countdown == 0:
            raise Crashed
        self.countdown -= 1
        self.fence()


@given(events)
def test_packets_arrive_in_order_each_whole_or_not_at_all(events: list[tuple[Any, ...]]) -> None:
    """Against a list; the producer dies at any fence, or in the middle of the data."""
    ring = ByteRing.private(slots=SLOTS, capacity=CAPACITY)
    sent: deque[tuple[bytes, int]] = deque()
    out: deque[Packet] = deque()
    number = 0
    for event in events:
        room = len(sent) + len(out) < SLOTS
        assert ring.has_room() == room
        assert ring.waiting == len(sent) + len(out)
        if event[0] == "send":
            assert send(ring, event[1], event[2]) == room
            if room:
                sent.append((event[1], event[2]))
        elif event[0] == "die" and room:
            die_sending(ring, event[1], event[2])
        elif event[0] == "receive":
            packet = ring.receive()
            assert (packet is None) == (not sent)
            if packet is not None:
                assert (packet.data.tobytes(), packet.tag) == sent.popleft()
                assert packet.sequence == number
                number += 1
                out.append(packet)
        elif event[0] == "release" and out:
            out.popleft().release()
    assert ring.stats().rejected == 0


def die_sending(ring: ByteRing, data: bytes, step: int) -> None:
    fence = ring.fence

    def half(out: np.ndarray[Any, Any]) -> None:
        out[: len(data) // 2] = 7
        raise Crashed

    try:
        if step == 4:
            ring.send(len(data), half)
        else:
            ring.fence = CrashAt(step, fence)
            send(ring, data)
    except Crashed:
        pass
    else:
        raise AssertionError("it lived")
    finally:
        ring.fence = fence


def test_who_waits_is_woken() -> None:
    ring = ByteRing.private(slots=2, capacity=1)
    assert not ring.wait_for_packet(0)
    assert not ring.wait_for_release(0)
    send(ring, b"a")
    assert ring.wait_for_packet(LONG)
    packet = ring.receive()
    assert packet is not None
    packet.release()
    assert ring.wait_for_release(LONG)


def echo(there: ByteRing, back: ByteRing) -> None:
    """Entry point of a process: sends back what comes, until that is nothing."""
    while True:
        packet = there.receive()
        if packet is None:
            there.wait_for_packet(LONG)
            continue
        data = packet.data.tobytes()
        packet.release()
        while not send(back, data, packet.tag):
            back.wait_for_release(LONG)
        if not data:
            return


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX shared memory")
def test_it_travels_to_another_process(tmp_path) -> None:
    chance = np.random.default_rng(0)
    packets = [chance.bytes(int(size)) for size in chance.integers(1, 5000, size=300)] + [b""]
    with SharedSegments(tmp_path / "leases") as segments:
        there, back = (ByteRing.create(segments, slots=3, capacity=5000) for _ in range(2))
        with running(echo, there, back) as process:
            sent = received = 0
            while received < len(packets):
                if sent < len(packets) and send(there, packets[sent], sent):
                    sent += 1
                    continue
                packet = back.receive()
                if packet is None:
                    assert back.wait_for_packet(LONG)
                    continue
                assert (packet.data.tobytes(), packet.tag) == (packets[received], received)
                packet.release()
                received += 1
            process.join(LONG)
            assert process.exitcode == 0


def test_senseless_rings_and_packets_are_refused(tmp_path) -> None:
    with pytest.raises(OptionError, match="slots >= 2"):
        ByteRing.private(slots=1, capacity=4)
    with pytest.raises(OptionError, match="5 bytes is too large"):
        send(ByteRing.private(slots=2, capacity=4), b"12345")
    with pytest.raises(RunError, match="does not hold a ring"):
        ByteRing(np.zeros(4096, np.uint8), producer=None, consumer=None)


def test_channel_and_board_have_a_version_within_one_process() -> None:
    """mypy reads this, too: they implement the protocols."""
    channel: Channel = ByteRing.private(slots=2, capacity=4)
    board: Board = SharedHeartbeat.private(workers=1)
    assert send(channel, b"1234")
    assert board.row(0).join() == 1
    board.row(0).add("steps", 3)
    assert board.total("steps") == 3
    assert not board.row(board.coordinator).ever_taken
