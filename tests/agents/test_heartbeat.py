"""Heartbeats: rows that outlive their process, and what concerns the whole run."""

from __future__ import annotations

import os
import time

import pytest

from mario_agents.runtime.shm.heartbeat import COUNTERS, SharedHeartbeat
from mario_agents.runtime.shm.segments import SharedSegments
from mario_envkit.errors import OptionError, RunError

from .hammering import SPAWN, count_and_die, running
from .stepping import LocalSegments, Stepper


@pytest.fixture
def segments(tmp_path):
    with SharedSegments(tmp_path / "leases") as segments:
        yield segments


def test_a_row_outlives_its_process(segments):
    heartbeat = SharedHeartbeat.create(segments, workers=2)
    before = time.monotonic()
    for generation in (1, 2):
        receiver, sender = SPAWN.Pipe(duplex=False)
        with running(count_and_die, heartbeat.name, 1, sender) as process:
            pid = receiver.recv()
            process.join()
            assert process.exitcode == -9
        latest = heartbeat.row(1).read()
        assert (latest.pid, latest.generation) == (pid, generation)
        assert 0 < latest.lived < latest.lived + latest.age < time.monotonic() - before
        assert latest.counters == {**dict.fromkeys(COUNTERS, 0), "steps": 300 * generation}
    assert heartbeat.row(0).read().generation == 0
    assert heartbeat.total("steps") == 600


def test_beats_make_a_row_young():
    row = SharedHeartbeat.create(LocalSegments(), workers=1).row(0)
    row.join()
    assert row.read().lived == 0
    time.sleep(0.02)
    assert row.read().age >= 0.02
    row.beat()
    latest = row.read()
    assert latest.lived >= 0.02
    assert latest.pid == os.getpid()


def test_totals_are_of_the_workers_alone():
    heartbeat = SharedHeartbeat.create(LocalSegments(), workers=2)
    for row, packets in ((0, 5), (1, 7), (heartbeat.coordinator, 11)):
        heartbeat.row(row).add("packets", packets)
    assert heartbeat.total("packets") == 12
    heartbeat.row(0).add("packets", 100)
    assert heartbeat.total("packets") == 112
    assert heartbeat.row(heartbeat.coordinator).count("packets") == 11
    with pytest.raises(KeyError, match="coins"):
        heartbeat.row(0).add("coins")


def test_a_row_read_while_it_changes_hands_is_one_of_both():
    local = LocalSegments()
    heartbeat = SharedHeartbeat.create(local, workers=1)
    old, row = heartbeat.row(0), SharedHeartbeat("", local.memory).row(0)
    old.join()
    time.sleep(0.02)
    old.beat()
    assert old.read().lived >= 0.02

    def read(pause):
        row._fence = pause
        return row.read()

    reader = Stepper(read)
    reader.step()  # it has copied the row, and not yet compared generations
    old.join()
    second = reader.finish()
    assert second.generation == 2
    assert second.lived == 0


def test_the_stop_flag_is_seen_by_all(segments):
    heartbeat = SharedHeartbeat.create(segments, workers=0)
    other = SharedHeartbeat.attach(heartbeat.name)
    assert not other.stopping
    other.stop()
    assert heartbeat.stopping


def test_what_is_not_a_heartbeat_is_refused(segments):
    with pytest.raises(OptionError, match="cannot be negative"):
        SharedHeartbeat.create(segments, workers=-1)
    name, _ = segments.create(4096)
    with pytest.raises(RunError, match="does not hold"):
        SharedHeartbeat.attach(name)
