"""What the main process makes of an actor's signs of life; without Ray."""

from __future__ import annotations

from typing import Any

import pytest

from mario_agents.runtime.ray import handle as module
from mario_agents.runtime.ray.handle import ActorHandle
from mario_agents.runtime.shm.heartbeat import SharedHeartbeat
from tests.agents.ray.pretend_ray import FakeError, FakeMethod, FakeRay


class FakeActor:
    def __init__(self) -> None:
        self.where, self.run = FakeMethod(), FakeMethod()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Any:
    import sys

    clock = [0.0]
    monkeypatch.setitem(sys.modules, "ray", FakeRay())
    monkeypatch.setattr(module, "node_names", lambda: {"id": "there"})
    monkeypatch.setattr(module, "AttendedClock", lambda: lambda: clock[0])
    board, actor = SharedHeartbeat.private(workers=1), FakeActor()
    handle = ActorHandle("worker_0", board.row(0), actor, board.row(0).vacate)
    return handle, actor, board.row(0), clock


def test_who_waits_for_a_place_is_not_silent(made: Any) -> None:
    handle, actor, row, clock = made
    clock[0] = 1000.0
    assert handle.node is None
    assert handle.silent_for() == 0
    row.join()  # as CoordinatorActor.pass_over does it
    row.vacate()
    handle.passed_over()
    clock[0] = 2000.0
    assert handle.silent_for() == 0
    actor.where.answer.append(("id", 7))
    assert handle.silent_for() == 0
    assert handle.node == "there"
    assert not handle.joined
    clock[0] += module.JOINING_SECONDS + 5
    assert handle.silent_for() == 5
    row.join()
    assert handle.joined
    assert handle.silent_for() == 0
    clock[0] += 7
    assert handle.silent_for() == 7


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        (None, 0, ""),
        ("The disk is full.", 1, "The disk is full."),
        (
            FakeError("The actor is dead because its node has died.\n\tdetails"),
            -1,
            "Its node is gone.",
        ),
        (FakeError("first\n  something else \n"), -1, "FakeError: something else"),
    ],
)
def test_how_it_ended(made: Any, answer: Any, status: int, reason: str) -> None:
    handle, actor, row, _ = made
    assert handle.exit_status is None
    actor.run.answer.append(answer)
    assert handle.exit_status == status
    assert handle.reason() == reason
    row.join()
    handle.join()
    assert not row.taken
