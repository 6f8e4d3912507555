"""What a bench or a sweep makes of a command on another machine; without Ray."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from mario_agents.experiments.place import Place
from mario_agents.experiments.ray import remote_child as module
from mario_agents.experiments.ray.job_actor import Ended, JobCommand
from mario_agents.experiments.ray.launcher import check_room
from mario_agents.experiments.ray.remote_child import RemoteChild
from mario_agents.runtime.ray.run_files import RunPlace, answer_of
from mario_envkit.errors import ConfigError, RunError
from tests.agents.ray.pretend_ray import FakeError, FakeMethod, FakeRay, FakeTaskError


class FakeActor:
    """One that has no place yet."""

    def __init__(self) -> None:
        self.where, self.run, self.stop = FakeMethod(), FakeMethod(), FakeMethod()


class FakeFiles:
    """The folder's actor, which answers at once."""

    def __init__(self) -> None:
        self.revoke = FakeMethod([None])


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Any:
    import sys

    ray, actor, files = FakeRay(), FakeActor(), FakeFiles()
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(module, "node_names", lambda: {"id": "there"})
    place = RunPlace("/folder", "home", files, "lease")
    command = JobCommand(("train", Path("runs/a")), Path("cells/a/output.log"), 1, place)
    return RemoteChild(actor, command), actor, files, ray


def test_a_command_from_its_place_to_its_end(made: Any) -> None:
    child, actor, files, ray = made
    assert (child.node, child.seconds, child.exit_status, child.lost) == (None, 0.0, None, False)
    actor.where.answer.append(("id", 7))
    assert (child.node, child.exit_status) == ("there", None)
    actor.run.answer.append(Ended(2, 1000.0, 12.5))
    assert (child.exit_status, child.spawned, child.seconds) == (2, 1000.0, 12.5)
    assert (child.lost, child.reason) == (False, "")
    child.close()
    child.close()
    assert files.revoke.calls == [("lease",)]
    assert ray.killed == [actor]
    assert actor.stop.calls == []


def test_who_has_no_place_is_not_given_one_when_it_is_to_stop(made: Any) -> None:
    child, actor, _, ray = made
    child.ask_to_stop()
    assert ray.killed == [actor]
    assert (child.exit_status, child.lost) == (130, False)
    child.close()


def test_a_command_that_runs_is_asked_to_stop_once(made: Any) -> None:
    child, actor, _, ray = made
    actor.where.answer.append(("id", 7))
    child.ask_to_stop()
    child.ask_to_stop()
    assert len(actor.stop.calls) == 1
    assert not ray.killed
    actor.run.answer.append(Ended(130, 1000.0, 1.0))
    child.close()
    assert (child.exit_status, child.lost) == (130, False)


def test_a_command_that_does_not_stop_is_ended(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    child, actor, files, ray = made
    actor.where.answer.append(("id", 7))
    monkeypatch.setattr(module, "STOP_SECONDS", -module.SEND_SECONDS)
    child.close()
    assert child.exit_status == 130
    assert actor in ray.killed
    assert files.revoke.calls == [("lease",)]


def test_a_machine_that_is_gone_is_no_fault_of_the_command(made: Any) -> None:
    child, actor, _, _ = made
    actor.run.answer.append(FakeError("The actor is dead because its node has died."))
    assert (child.exit_status, child.lost) == (-1, True)


def test_an_error_beside_the_command_is_told(made: Any) -> None:
    child, actor, _, _ = made
    error = FakeTaskError("long")
    error.cause = ValueError("no such thing")
    actor.run.answer.append(error)
    assert (child.exit_status, child.lost) == (1, False)
    assert child.reason == "ValueError: no such thing"


@pytest.mark.parametrize(
    ("place", "fits"),
    [
        (Place("ray", job_cpus=2.0), True),
        (Place("ray", job_cpus=0.5, job_gpus=1.0), True),
        (Place("ray", job_cpus=2.0, job_gpus=1.0), False),  # not both on one node
        (Place("ray", job_cpus=3.0), False),  # only on a node that is gone
    ],
)
def test_a_run_that_has_room_nowhere_is_refused(place: Place, fits: bool) -> None:
    nodes = [
        {"Alive": True, "Resources": {"CPU": 2.0}},
        {"Alive": True, "Resources": {"CPU": 1.0, "GPU": 1.0}},
        {"Alive": False, "Resources": {"CPU": 8.0}},
    ]
    with nullcontext() if fits else pytest.raises(ConfigError, match="No node of the Ray cluster"):
        check_room(place, nodes)


def test_an_error_of_the_files_is_told_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", FakeRay())
    refused, unreachable = FakeTaskError(), FakeError()
    refused.cause = RunError("This task was given up.")
    with pytest.raises(RunError, match="This task was given up"):
        answer_of([refused])
    with pytest.raises(RunError, match="cannot be reached"):
        answer_of([unreachable])
