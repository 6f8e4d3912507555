"""Runs with worker processes of which something dies, stops or breaks: on the real thing."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mario_agents.telemetry.events import COORDINATOR
from tests.agents.living_run import (
    ENDLESS,
    Start,
    go_on,
    lose_coordinator,
    processes_with,
    resume,
    stop,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc and /dev/shm")


@pytest.mark.parametrize(
    ("how", "workers", "mode", "reason"),
    [
        (signal.SIGKILL, 2, "--synchronous", "It was killed by SIGKILL."),
        (signal.SIGSTOP, 1, "--no-synchronous", "It gave no sign of life for 4 seconds."),
    ],
)
@pytest.mark.slow
def test_a_dead_or_stopped_worker_is_replaced(
    start: Start, how: signal.Signals, workers: int, mode: str, reason: str
) -> None:
    run = start(*ENDLESS, "--heartbeat-timeout", 4, mode, workers=workers)
    run.until(lambda: run.running(workers))
    before = dict(run.measured["worker_0"].counters)
    pid = run.kill("worker_0", how)
    run.until(lambda: run.pid("worker_0") != pid and run.statuses["worker_0"].state == "running")
    after = run.measured["worker_0"].counters
    assert after["steps"] >= before["steps"]  # its counters were kept
    assert after["episodes"] >= before["episodes"]
    go_on(run)
    stop(run)
    assert f"Worker 0 is gone and will be replaced in 0.5 seconds: {reason}" in run.log()


@pytest.mark.slow
def test_a_dead_coordinator_ends_the_run_which_can_be_resumed(start: Start) -> None:
    run = start(*ENDLESS)
    run.until(lambda: run.running(1) and len(run.checkpoint()) >= 2)
    errors, latest = lose_coordinator(run)
    assert errors.splitlines()[-1].startswith("mario-agents: The coordinator of the run is gone.")
    assert "killed by SIGKILL" in errors
    assert latest.step > 0
    after = resume(run, latest, steps=2000)
    earlier, later = (c.state["counters"][0]["steps"] for c in (latest, after))
    assert later >= earlier
    steps = [int(row["step"]) for row in run.rows("worker_0")]
    assert steps == sorted(set(steps))


@pytest.mark.slow
def test_a_dead_fork_server_ends_the_run_and_nothing_is_left(start: Start) -> None:
    run = start(*ENDLESS, workers=2)
    run.until(lambda: run.running(2))
    stat = Path(f"/proc/{run.pid(COORDINATOR)}/stat").read_text()
    server = int(stat.rpartition(")")[2].split()[1])  # its parent
    assert server != run.process.pid
    os.kill(server, signal.SIGKILL)
    status, errors = run.end()
    assert status == 2
    assert "The server that forked it is gone" in errors
    assert "mario-agents train --resume" in errors
    run.assert_nothing_left()


@pytest.mark.slow
def test_children_do_not_outlive_a_killed_main_process(start: Start) -> None:
    run = start(*ENDLESS, "--synchronous", workers=2)
    run.until(lambda: run.running(2))
    run.process.kill()
    run.assert_nothing_left()


@pytest.mark.slow
def test_a_signal_to_all_processes_stops_the_run_once(start: Start) -> None:
    """So do terminals (Ctrl-C) and service managers; only the main process may listen."""
    run = start(*ENDLESS)
    run.until(lambda: run.running(1))
    for source in (COORDINATOR, "worker_0"):
        run.kill(source, signal.SIGTERM)
    run.process.send_signal(signal.SIGTERM)
    code, errors = run.end()
    assert code == 143, errors
    run.assert_nothing_left()
    latest = run.checkpoint().load_latest()
    assert latest.step == sum(worker["steps"] for worker in latest.state["counters"])
    assert "gone" not in run.log()


@pytest.mark.slow
def test_a_run_that_is_stopped_by_the_terminal_goes_on_with_all_its_processes(start: Start) -> None:
    """As by Ctrl-Z and fg, for longer than a worker may be silent."""
    run = start(*ENDLESS, "--heartbeat-timeout", 10, workers=2)
    run.until(lambda: run.running(2))
    pids = [run.pid(source) for source in ("worker_0", "worker_1", COORDINATOR)]
    everybody = processes_with(run.token)
    for number, pause in ((signal.SIGSTOP, 15), (signal.SIGCONT, 0)):
        for pid in everybody:
            os.kill(pid, number)
        time.sleep(pause)
    go_on(run)
    assert [run.pid(source) for source in ("worker_0", "worker_1", COORDINATOR)] == pids
    stop(run)
    assert "gone" not in run.log()


@pytest.mark.slow
def test_what_a_killed_process_was_writing_is_removed(start: Start) -> None:
    run = start(*ENDLESS)
    run.until(lambda: run.running(1))
    dead = subprocess.Popen(["true"])
    dead.wait()
    run.process.kill()
    run.assert_nothing_left()
    unfinished = [
        run.path / f".weights.safetensors.{dead.pid}.tmp",
        run.path / "videos" / f".step-50.mp4.{dead.pid}.tmp.mp4",
        run.path / "curriculum" / f".worker_0.json.{dead.pid}.tmp",
    ]
    others = run.path / f".eval.json.{os.getpid()}.tmp"  # somebody evaluates the run
    for path in (*unfinished, others):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    before = run.checkpoint().load_latest().step
    run.start("--resume", "run", "--total-steps", 10**9)
    run.until(lambda: run.checkpoint().load_latest().step > before)
    assert not any(path.exists() for path in unfinished)
    unfinished[0].touch()
    stop(run)
    assert [*run.path.rglob(".*.tmp*")] == [others]


@pytest.mark.slow
def test_a_full_disk_costs_checkpoints_but_not_the_run(start: Start) -> None:
    run = start(*ENDLESS)
    run.until(lambda: run.running(1) and len(run.checkpoint()) >= 2)
    # Whatever the coordinator writes beyond 2 kB fails now, as if there were no space.
    limits = resource.prlimit(run.pid(COORDINATOR), resource.RLIMIT_FSIZE)
    resource.prlimit(run.pid(COORDINATOR), resource.RLIMIT_FSIZE, (2000, limits[1]))
    # Which of its files is the first is chance.
    run.until(lambda: "Cannot write" in run.log())
    kept = run.checkpoint().load_latest()
    go_on(run)
    assert "Training goes on" in run.log()
    resource.prlimit(run.pid(COORDINATOR), resource.RLIMIT_FSIZE, limits)
    run.until(lambda: run.checkpoint().load_latest().step > kept.step)
    stop(run)


@pytest.mark.slow
def test_a_damaged_checkpoint_is_passed_over(start: Start) -> None:
    run = start("--total-steps", 4000)
    run.until(lambda: bool(run.segments))
    assert run.end()[0] == 0
    good, bad = sorted((run.path / "checkpoint").glob("*.json"))[-2:]
    bad.with_suffix(".safetensors").write_bytes(b"rubbish")
    run.start("--resume", "run", "--total-steps", 8000)
    status, errors = run.end()
    assert status == 0, errors
    assert "WARNING: Skipped a damaged checkpoint" in errors
    assert good.name in errors
    assert run.checkpoint().load_latest().step >= 8000
    run.assert_nothing_left()


@pytest.mark.slow
def test_two_runs_at_once_do_not_touch_each_other(start: Start) -> None:
    first = start(*ENDLESS)
    first.until(lambda: first.running(1))
    second = start(*ENDLESS)
    second.until(lambda: second.running(1))
    assert not first.segments & second.segments
    first.process.kill()
    first.assert_nothing_left()
    go_on(second)
    stop(second)


@pytest.mark.slow
def test_the_real_game_survives_a_dead_worker_and_a_dead_coordinator(start: Start) -> None:
    small = ("--num-envs", 2, "--screen-size", 36, "--hidden", 8, "--buffer-size", 2000,
             "--learning-starts", 32, "--batch-size", 8, "--collect-steps", 16)  # fmt: skip
    run = start("--total-steps", 10**9, *small, trainer="ddqn")
    run.until(lambda: run.running(1))
    pid = run.kill("worker_0")
    run.until(lambda: run.pid("worker_0") != pid and run.statuses["worker_0"].state == "running")
    go_on(run)
    run.until(lambda: len(run.checkpoint()) >= 2)
    _, before = lose_coordinator(run)
    after = resume(run, before, steps=500)
    counters = after.state["counters"][0]
    assert counters["steps"] == after.step
    assert int(run.rows("worker_0")[-1]["steps"]) == after.step
