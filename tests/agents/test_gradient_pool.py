"""The gradient pool: one process and every interleaving, then real processes."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mario_agents.runtime.shm.gradient_pool import SharedGradientPool, SharedPacket
from mario_agents.runtime.shm.heartbeat import SharedHeartbeat
from mario_agents.runtime.shm.segments import SharedSegments
from mario_agents.runtime.shm.shared_weights import SharedWeights
from mario_envkit.errors import OptionError, RunError

from .hammering import Pattern, crash_gradient_writers, fill, publish_gradients, running
from .stepping import LocalSegments, Stepper, copy_in_halves

WORKERS, SLOTS, SIZE = 2, 3, 10
PATTERN = Pattern(SIZE)


@pytest.fixture
def segments(tmp_path):
    with SharedSegments(tmp_path / "leases") as segments:
        yield segments


class PoolMachine(RuleBasedStateMachine):
    """Two producers that can be stopped, or killed, at every step of a publish, and a consumer
    that can be replaced; against lists."""

    dtype = "float32"

    def __init__(self):
        super().__init__()
        local = LocalSegments()
        pool = SharedGradientPool.create(
            local, workers=WORKERS, size=SIZE, slots=SLOTS, dtype=self.dtype
        )
        self.attach = lambda: SharedGradientPool(pool.name, local.memory, pool.notifiers)
        self.consumer = pool
        self.producers = [self.attach() for _ in range(WORKERS)]
        self.running: list[Stepper | None] = [None] * WORKERS
        self.published: list[list[int]] = [[], []]  # versions, by packet number
        self.dropped = [0, 0]
        self.taken, self.released = [0, 0], [0, 0]
        self.out: list[SharedPacket] = []
        self.back: list[SharedPacket] = []  # given back together with a later one
        self.version = 0

    workers = st.integers(0, WORKERS - 1)

    def full(self, worker):
        return len(self.published[worker]) - self.released[worker] >= SLOTS

    @rule(worker=workers)
    def publish(self, worker):
        if self.running[worker] is not None:
            return
        self.version += 1
        number = len(self.published[worker])
        vector = PATTERN.of(number, worker)
        taken = self.producers[worker].publish(worker, fill(vector), self.version)
        assert taken is not self.full(worker)
        if taken:
            self.published[worker].append(self.version)
        else:
            self.dropped[worker] += 1

    @rule(worker=workers)
    def begin(self, worker):
        """A publish that stops at every fence and in the middle of the data."""
        if self.running[worker] is not None or self.full(worker):
            return
        self.version += 1
        version, vector = self.version, PATTERN.of(len(self.published[worker]), worker)

        def call(pause):
            pool = self.producers[worker] = self.attach()
            pool.rings[worker].fence = pause
            assert pool.publish(worker, fill(vector, copy_in_halves(pause)), version)
            return version

        self.running[worker] = Stepper(call)

    @precondition(lambda self: any(self.running))
    @rule(worker=workers, steps=st.integers(1, 6))
    def go_on(self, worker, steps):
        stepper = self.running[worker]
        for _ in range(steps):
            if stepper is not None and stepper.step():
                self.published[worker].append(stepper.result)
                self.running[worker] = None
                self.producers[worker] = self.attach()
                return

    @precondition(lambda self: any(self.running))
    @rule(worker=workers)
    def kill_and_replace(self, worker):
        if self.running[worker] is not None:
            self.running[worker].crash()
            self.running[worker] = None
            self.producers[worker] = self.attach()

    @rule(worker=workers)
    def poll(self, worker):
        packet = self.consumer.poll(worker)
        if packet is None:
            assert self.taken[worker] == len(self.published[worker])
            return
        assert packet.worker == worker
        self.check(packet)
        assert packet.sequence == self.taken[packet.worker]
        self.taken[packet.worker] += 1
        self.out.append(packet)

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def release(self, data):
        packet = self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))
        packet.release()
        worker = packet.worker
        self.released[worker] = max(self.released[worker], packet.sequence + 1)
        for other in list(self.out):
            if other.worker == worker and other.sequence < self.released[worker]:
                self.out.remove(other)
                self.back.append(other)

    @precondition(lambda self: self.back)
    @rule()
    def release_what_is_back_already(self):
        self.back.pop().release()

    @rule()
    def replace_consumer(self):
        """What was not released is read again."""
        self.consumer, self.out, self.back = self.attach(), [], []
        self.taken = list(self.released)

    def check(self, packet):
        expected = PATTERN.of(packet.sequence, packet.worker)
        assert packet.version == self.published[packet.worker][packet.sequence]
        np.testing.assert_array_equal(packet.vector, expected)

    @invariant()
    def packets_out_are_whole(self):
        for packet in self.out:
            self.check(packet)

    @invariant()
    def counts(self):
        for worker in range(WORKERS):
            stats = self.consumer.stats(worker)
            assert stats.published == len(self.published[worker])
            assert (stats.dropped, stats.read) == (self.dropped[worker], self.released[worker])
            assert stats.rejected == 0
            assert self.consumer.waiting(worker) == stats.published - stats.read

    def teardown(self):
        for stepper in filter(None, self.running):
            stepper.crash()


class NarrowPoolMachine(PoolMachine):
    dtype = "bfloat16"


TestPool = PoolMachine.TestCase
TestPool.settings = settings(max_examples=60, stateful_step_count=50)
TestNarrowPool = NarrowPoolMachine.TestCase
TestNarrowPool.settings = settings(max_examples=30, stateful_step_count=50)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("size", [30, 50_000])
@pytest.mark.slow
def test_two_processes_hammer(segments, dtype, size):
    """Nothing is torn, reordered or lost, but for what was counted as dropped."""
    pool = SharedGradientPool.create(segments, workers=2, size=size, slots=3, dtype=dtype)
    heartbeat = SharedHeartbeat.create(segments, workers=2)
    pattern = Pattern(size)
    read, versions, worker = [0, 0], [-1, -1], 0
    with (
        running(publish_gradients, pool, heartbeat.name, 0) as first,
        running(publish_gradients, pool, heartbeat.name, 1) as second,
    ):
        while first.is_alive() or second.is_alive() or any(map(pool.waiting, (0, 1))):
            if min(read) >= 500:
                heartbeat.stop()
            worker = 1 - worker
            packet = pool.poll(worker)
            if packet is None:
                time.sleep(0)
                continue
            assert packet.worker == worker
            assert packet.sequence == read[worker]
            assert packet.version > versions[worker]
            assert np.array_equal(packet.vector, pattern.of(packet.sequence, worker))
            read[worker], versions[worker] = packet.sequence + 1, packet.version
            packet.release()
        assert (first.exitcode, second.exitcode) == (0, 0)
    for worker in (0, 1):
        stats = pool.stats(worker)
        assert stats.read == stats.published == read[worker] >= 500
        assert stats.published + stats.dropped == heartbeat.row(worker).count("packets")
        assert stats.rejected == 0


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.slow
def test_writers_killed_in_mid_publish(segments, dtype):
    """The ring goes on, whole and without a gap, however often its writer dies."""
    pool = SharedGradientPool.create(segments, workers=1, size=300_000, slots=3, dtype=dtype)
    pattern = Pattern(pool.size)
    with running(crash_gradient_writers, pool, 60) as process:
        read = 0
        while process.is_alive() or pool.waiting(0):
            packet = pool.poll(0)
            if packet is None:
                continue
            assert packet.sequence == read
            assert np.array_equal(packet.vector, pattern.of(read))
            packet.release()
            read += 1
        assert process.exitcode == 0
    stats = pool.stats(0)
    assert stats.read == stats.published == read >= 8  # of the replacements alone
    assert stats.rejected == 0


def test_a_second_writer_on_a_ring_is_noticed():
    """It should never happen; its packets are not taken for good ones, and the ring goes on."""
    local = LocalSegments()
    pool = SharedGradientPool.create(local, workers=1, size=4, slots=2)
    vector = np.ones(4, dtype=np.float32)
    assert pool.publish(0, fill(vector), 1)
    # The other writer, late, begins to write the same slot.
    other = SharedGradientPool(pool.name, local.memory, pool.notifiers).rings[0]
    other._headers[0][0] = 0
    assert pool.poll(0) is None
    assert pool.stats(0).rejected == 1
    for version in range(2, 7):
        assert pool.publish(0, fill(vector), version)
        packet = pool.poll(0)
        assert packet.version == version
        packet.release()
    assert (pool.stats(0).read, pool.stats(0).published) == (5, 6)


def test_rejected_packets_never_fill_the_ring():
    local = LocalSegments()
    pool = SharedGradientPool.create(local, workers=1, size=4, slots=3)
    vector = np.ones(4, dtype=np.float32)
    for version in range(3):
        pool.publish(0, fill(vector), version)
    ring = pool.rings[0]
    ring._headers[1][0] = ring._headers[2][0] = 0
    held = pool.poll(0)
    assert pool.poll(0) is None  # both others are rejected while the first is out
    assert not pool.has_room(0)
    held.release()
    assert pool.waiting(0) == 0
    assert pool.publish(0, fill(vector), 9)
    assert pool.poll(0).version == 9


def test_sums_and_copies_of_packets():
    rng = np.random.default_rng(0)
    vectors = [rng.integers(-100, 100, 70_000).astype(np.float32) for _ in range(2)]
    for dtype in ("float32", "bfloat16"):
        pool = SharedGradientPool.create(LocalSegments(), workers=2, size=70_000, dtype=dtype)
        total = np.zeros(70_000, dtype=np.float32)
        for worker, vector in enumerate(vectors):
            pool.publish(worker, fill(vector), 1)
            packet = pool.poll(worker)
            packet.add_to(total)
            copy = np.empty_like(total)
            packet.copy_to(copy)
            np.testing.assert_array_equal(copy, vector)
        np.testing.assert_array_equal(total, vectors[0] + vectors[1])


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"size": 0}, {"slots": 1}, {"dtype": "int8"}])
def test_senseless_pools_are_refused(wrong):
    with pytest.raises(OptionError, match="gradient pool needs"):
        SharedGradientPool.create(LocalSegments(), **{"workers": 1, "size": 4, **wrong})


def test_another_segment_is_refused(segments):
    weights = SharedWeights.create(segments, size=4)
    with pytest.raises(RunError, match="does not hold a gradient pool"):
        SharedGradientPool.attach(weights.name, [])
