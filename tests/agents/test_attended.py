"""Waiting for others, without the time in which this process itself did not run."""

from __future__ import annotations

import multiprocessing
from typing import Any

import pytest

from mario_agents.runtime import attended
from mario_agents.runtime.attended import AttendedClock, wait_attended
from mario_agents.runtime.processes import process
from mario_agents.runtime.processes.process import JOINING_SECONDS, ProcessHandle
from mario_agents.runtime.shm.heartbeat import SharedHeartbeat


class Time:
    """Passes as the test says."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def monotonic_ns(self) -> int:
        return round(self.now * 1e9)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    fake = Time()
    monkeypatch.setattr(attended, "time", fake)
    monkeypatch.setattr("mario_agents.runtime.shm.heartbeat.time", fake)
    return fake


def test_a_clock_leaves_out_the_time_in_which_nobody_looked(time: Time) -> None:
    clock = AttendedClock()
    for _ in range(10):
        time.now += 0.5
        clock()
    time.now += 3600  # stopped
    assert clock() == 6.0
    time.now += 0.25
    assert clock() == 6.25


def test_waiting_ends_by_the_own_time(time: Time) -> None:
    asked: list[float] = []

    def look(seconds: float) -> bool:
        asked.append(seconds)
        time.now += 3600 if len(asked) == 2 else seconds
        return len(asked) == 5

    assert wait_attended(look, 3.5)
    assert asked == [1.0, 1.0, 1.0, 0.5, 0.0]
    asked.clear()
    assert not wait_attended(look, 2.5)
    assert asked == [1.0, 1.0, 0.5, 0.0]


class NoProcess:
    """A context whose processes are nothing."""

    exitcode = None
    Pipe = staticmethod(multiprocessing.Pipe)

    def Process(self, **_: Any) -> NoProcess:  # noqa: N802 - as of multiprocessing
        return self

    def start(self) -> None:
        return


def test_a_process_was_not_silent_while_this_one_was_stopped(time: Time) -> None:
    row = SharedHeartbeat.private(workers=1).row(0)
    context: Any = NoProcess()
    handle = ProcessHandle(context, "worker_0", row, process._nothing)

    def pass_seconds(count: int, *, beating: bool) -> None:
        for _ in range(10 * count):
            time.now += 0.1
            if beating:
                row.beat()
            handle.silent_for()

    pass_seconds(30, beating=False)  # it imports
    assert handle.silent_for() == 0
    time.now += 3600
    assert handle.silent_for() == 0
    pass_seconds(round(JOINING_SECONDS), beating=False)
    assert handle.silent_for() == pytest.approx(31)
    row.join()
    assert handle.silent_for() == 0
    pass_seconds(20, beating=True)
    assert handle.silent_for() == 0
    pass_seconds(5, beating=False)
    assert handle.silent_for() == pytest.approx(5)
    time.now += 3600
    assert handle.silent_for() == pytest.approx(6)
    row.beat()
    assert handle.silent_for() == 0
