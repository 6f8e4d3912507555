"""Runs on a Ray cluster of which something dies or breaks: on the real thing."""

from __future__ import annotations

import os
import re
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from mario_agents.telemetry.events import COORDINATOR
from tests.agents.disks import fill, small_disk
from tests.agents.living_run import ENDLESS, go_on, lose_coordinator, processes_with, resume, stop
from tests.agents.ray.conftest import StartRay, TestCluster
from tests.waiting import until

pytestmark = pytest.mark.slow


def test_a_dead_worker_is_replaced(start_ray: StartRay) -> None:
    run = start_ray(*ENDLESS, "--synchronous")
    run.until(lambda: run.running(2))
    before = dict(run.measured["worker_0"].counters)
    pid = run.kill("worker_0")
    run.until(lambda: run.pid("worker_0") != pid and run.statuses["worker_0"].state == "running")
    assert run.measured["worker_0"].counters["steps"] >= before["steps"]
    go_on(run)
    stop(run)
    assert "Worker 0 is gone and will be replaced in 0.5 seconds" in run.log()


def test_a_worker_that_stands_still_is_replaced_and_not_listened_to_when_it_goes_on(
    start_ray: StartRay,
) -> None:
    run = start_ray(*ENDLESS, "--heartbeat-timeout", 10, "--worker-cpus", 0.5)
    run.until(lambda: run.running(2))
    steps = run.count("worker_0", "steps")
    pid = run.kill("worker_0", signal.SIGSTOP)
    try:
        run.until(lambda: run.pid("worker_0") != pid)
        run.until(lambda: run.statuses["worker_0"].state == "running")
        run.until(lambda: run.count("worker_0", "steps") > steps)
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    go_on(run)
    stop(run)
    assert "Worker 0 " in run.log()


def test_a_command_that_stands_still_for_long_goes_on(start_ray: StartRay) -> None:
    """As by Ctrl-Z and fg, for longer than a worker may be silent; the actors go on meanwhile."""
    run = start_ray(*ENDLESS, "--heartbeat-timeout", 5)
    run.until(lambda: run.running(2))
    pids = [run.pid(source) for source in ("worker_0", "worker_1", COORDINATOR)]
    for number, pause in ((signal.SIGSTOP, 8), (signal.SIGCONT, 0)):
        os.kill(run.process.pid, number)
        time.sleep(pause)
    go_on(run)
    assert [run.pid(source) for source in ("worker_0", "worker_1", COORDINATOR)] == pids
    stop(run)


def test_a_lost_node_is_a_lost_worker_until_there_is_room(
    start_ray: StartRay, cluster: TestCluster
) -> None:
    """The run goes on with fewer, also where workers wait for one another."""
    node = cluster.add_node(num_cpus=4)
    run = start_ray(*ENDLESS, "--synchronous", "--worker-cpus", 2)
    try:
        run.until(lambda: run.running(2))
        os.kill(cluster.raylet(node), signal.SIGKILL)
        run.until(lambda: "There is no room in the Ray cluster for worker" in run.log())
        assert "training goes on with 1 of 2 workers" in run.log()
        go_on(run)
    finally:
        cluster.nodes.remove_node(node, allow_graceful=False)
    node = cluster.add_node(num_cpus=4)
    try:
        lost = "worker_" + re.findall(r"no room in the Ray cluster for worker (\d)", run.log())[0]
        pid, steps = run.pid(lost), run.count(lost, "steps")
        run.until(lambda: "has found room on" in run.log())
        run.until(lambda: run.pid(lost) != pid and run.count(lost, "steps") > steps)
        go_on(run)
        stop(run)
    finally:
        cluster.nodes.remove_node(node)


def test_a_dead_coordinator_ends_the_run_which_can_be_resumed(start_ray: StartRay) -> None:
    run = start_ray(*ENDLESS)
    run.until(lambda: run.running(2) and len(run.checkpoint()) >= 2)
    errors, before = lose_coordinator(run)
    assert errors.splitlines()[-1].startswith("mario-agents: The coordinator of the run is gone.")
    resume(run, before, steps=2000)


def test_a_killed_command_leaves_no_actor_and_other_runs_alone(start_ray: StartRay) -> None:
    first, second = (
        start_ray(*ENDLESS, "--worker-cpus", 0.5, "--learner-cpus", 0.5, workers=1)
        for _ in range(2)
    )
    for run in (first, second):
        run.until(lambda run=run: run.running(1))  # type: ignore[misc]
    lost = [first.pid(source) for source in ("worker_0", COORDINATOR)]
    first.process.kill()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in lost))
    go_on(second)
    stop(second)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_cluster_of_a_run_ends_with_it(start_ray: StartRay, number: signal.Signals) -> None:
    """By Ctrl-C in a terminal, which everybody hears, and when the command is killed."""
    run = start_ray(*ENDLESS, own=True)
    run.until(lambda: run.running(2))
    if number is signal.SIGKILL:
        run.process.kill()
        run.assert_nothing_left()
        return
    for pid in processes_with(run.token):
        if pid != run.process.pid:
            os.kill(pid, number)
    go_on(run)
    stop(run)


def test_a_full_disk_at_the_head_costs_files_but_not_the_run(
    start_ray: StartRay, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", "8m") as disk:
        run = start_ray(*ENDLESS, folder=disk)
        run.until(lambda: run.running(2) and len(run.checkpoint()) >= 2)
        filler = fill(disk)
        # What a worker writes on another node, and what the coordinator does on this one.
        run.until(lambda: run.said("worker_1.csv cannot be written") or
                  run.said("worker_0.csv cannot be written"))  # fmt: skip
        run.until(lambda: run.said("Cannot write"))
        go_on(run)
        filler.unlink()
        run.until(lambda: run.said("can be written again", times=2))
        stop(run)


@pytest.mark.parametrize(
    ("address", "env", "sentence"),
    [
        ("127.0.0.1:9", {}, "Nobody answers at 127.0.0.1:9"),
        (None, {"RAY_AUTH_TOKEN": "f" * 64}, "RAY_AUTH_TOKEN to the same"),
    ],
)
def test_a_cluster_that_cannot_be_joined_is_told_in_a_sentence(
    start_ray: StartRay, address: str | None, env: dict[str, str], sentence: str
) -> None:
    run = start_ray(*(("--address", address) if address else ()), env=env)
    status, errors = run.end()
    assert status == 2
    assert sentence in errors.splitlines()[-1]
