"""The shared weights: every interleaving of one writer and two readers, then real processes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from mario_agents.runtime.shm.heartbeat import SharedHeartbeat
from mario_agents.runtime.shm.segments import SharedSegments
from mario_agents.runtime.shm.shared_weights import SharedWeights
from mario_envkit.errors import OptionError, RunError
from tests.waiting import PATIENCE, until

from .hammering import Pattern, crash_weight_writers, publish_weights, read_weights, running
from .stepping import LocalSegments, Stepper, copy_in_halves

SIZE, READERS = 10, 2
PATTERN = Pattern(SIZE)


@pytest.fixture
def segments(tmp_path):
    with SharedSegments(tmp_path / "leases") as segments:
        yield segments


class WeightsMachine(RuleBasedStateMachine):
    """A writer and readers that stop at every step, the writer also dying; against a number."""

    readers = st.integers(0, READERS - 1)

    def __init__(self):
        super().__init__()
        local = LocalSegments()
        weights = SharedWeights.create(local, size=SIZE)
        self.attach = lambda: SharedWeights(weights.name, local.memory)
        self.whole = 0  # the newest version published to the end
        self.writer: Stepper | None = None
        self.reading: list[Stepper | None] = [None] * READERS
        self.began_at = [0] * READERS
        self.last = [0] * READERS

    @rule()
    def publish(self):
        if self.writer is None:
            assert self.attach().publish(PATTERN.of(self.whole + 1)) == self.whole + 1
            self.whole += 1
        elif self.writer.step():
            self.whole += 1
            assert self.writer.result == self.whole
            self.writer = None

    @rule()
    def begin_publish(self):
        if self.writer is not None:
            return
        vector = PATTERN.of(self.whole + 1)

        def call(pause):
            weights = self.attach()
            weights._fence, weights._copy = pause, copy_in_halves(pause)
            return weights.publish(vector)

        self.writer = Stepper(call)

    @rule()
    def kill_writer(self):
        if self.writer is not None:
            self.writer.crash()
            self.writer = None

    @rule(reader=readers)
    def read(self, reader):
        """Begin to read, or go one step further; the result is never a mixture."""
        stepper = self.reading[reader]
        if stepper is None:
            self.began_at[reader] = self.whole
            stepper = self.reading[reader] = Stepper(lambda pause: self.call_read(reader, pause))
        else:
            stepper.step()
        if stepper.done:
            self.reading[reader] = None
            self.check(reader, *stepper.result)

    def call_read(self, reader, pause):
        weights, out = self.attach(), np.full(SIZE, -1, dtype=np.float32)
        weights._fence, weights._copy = pause, copy_in_halves(pause)
        return weights.read(out, newer_than=self.last[reader]), out

    @rule(reader=readers)
    def read_at_once(self, reader):
        if self.reading[reader] is None:
            out = np.full(SIZE, -1, dtype=np.float32)
            version = self.attach().read(out, newer_than=self.last[reader])
            assert version == (self.whole if self.whole > self.last[reader] else None)
            self.began_at[reader] = self.whole
            self.check(reader, version, out)

    def check(self, reader, version, out):
        if version is None:
            assert self.began_at[reader] <= self.last[reader]
            assert (out == -1).all()
        else:
            assert self.last[reader] < version
            assert self.began_at[reader] <= version <= self.whole
            np.testing.assert_array_equal(out, PATTERN.of(version))
            self.last[reader] = version

    def teardown(self):
        for stepper in filter(None, [self.writer, *self.reading]):
            stepper.crash()


TestWeights = WeightsMachine.TestCase
TestWeights.settings = settings(max_examples=100, stateful_step_count=60)


@pytest.mark.parametrize("size", [30, 200_000])
@pytest.mark.slow
def test_processes_hammer(segments, size):
    """One writes as fast as it can, two check whatever they can get."""
    weights = SharedWeights.create(segments, size=size)
    heartbeat = SharedHeartbeat.create(segments, workers=2)
    names = weights.name, heartbeat.name
    rows = [heartbeat.row(worker) for worker in range(2)]
    with (
        running(publish_weights, *names) as writer,
        running(read_weights, *names, 0) as first,
        running(read_weights, *names, 1) as second,
    ):
        processes = [writer, first, second]
        until(
            lambda: (
                all(row.count("packets") >= 200 for row in rows)
                or any(process.exitcode is not None for process in processes)
            )
        )
        heartbeat.stop()
        for process in processes:
            process.join(PATIENCE)
            assert process.exitcode == 0
    assert weights.version >= max(row.count("packets") for row in rows)


@pytest.mark.slow
def test_writers_killed_in_mid_publish(segments):
    """The last whole version stays readable, and versions go on without a gap or a repeat."""
    weights = SharedWeights.create(segments, size=300_000)
    pattern, out = Pattern(weights.size), np.empty(weights.size, dtype=np.float32)
    last = 0
    with running(crash_weight_writers, weights.name, 60) as process:
        alive = True
        while alive:
            alive = process.is_alive()  # one last look after its end
            version = weights.read(out, newer_than=last)
            if version is not None:
                assert version > last
                assert np.array_equal(out, pattern.of(version))
                last = version
        assert process.exitcode == 0
    assert last == weights.version >= 4  # of the replacements alone
    assert weights.publish(pattern.of(weights.version + 1)) == weights.version


def test_nothing_to_read():
    weights = SharedWeights.create(LocalSegments(), size=3)
    out = np.full(3, 7, dtype=np.float32)
    assert weights.version == 0
    assert weights.read(out) is None
    weights.publish(np.ones(3, dtype=np.float32))
    assert weights.read(out, newer_than=1) is None
    assert (out == 7).all()


def test_wrong_vectors_and_segments_are_refused(segments):
    weights = SharedWeights.create(segments, size=3)
    with pytest.raises(OptionError, match="float32 of shape"):
        weights.publish(np.zeros(3))
    with pytest.raises(OptionError, match="float32 of shape"):
        weights.read(np.zeros(4, dtype=np.float32))
    with pytest.raises(OptionError, match="at least one"):
        SharedWeights.create(segments, size=0)
    with pytest.raises(RunError, match="does not hold"):
        SharedWeights.attach(SharedHeartbeat.create(segments, workers=1).name)
