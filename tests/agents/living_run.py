"""A run with worker processes, seen from outside: by its events, its files and its processes."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mario_agents.run import Checkpoint, CheckpointStore
from mario_agents.runtime.shm.heartbeat import SharedHeartbeat
from mario_agents.telemetry import MetricSnapshot
from mario_agents.telemetry.events import (
    COORDINATOR,
    EventObserver,
    LearnerStatus,
    Log,
    Metrics,
    WorkerStatus,
)
from mario_envkit.errors import RunError
from tests.waiting import PATIENCE, pause, until

SHM = Path("/dev/shm")
ENDLESS = ("--total-steps", 10**9, "--pause", 0.02)


def processes_with(token: str) -> list[int]:
    """Processes that were started, by whomever, with ``token`` in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            state = (path / "stat").read_text().rpartition(")")[2].split()[0]
            if state != "Z" and token.encode() in (path / "environ").read_bytes():
                found.append(int(path.name))
        except OSError:  # it has just ended, or is somebody else's
            continue
    return found


class LivingRun:
    """``mario-agents train`` in a process of its own.

    Args:
        folder: working directory; the run is ``run`` in it.
        temporary: where leases and sockets lie; a short path.
        env: environment variables.
        words: of the command line.
    """

    def __init__(self, folder: Path, temporary: Path, env: dict[str, str], *words: object) -> None:
        self.path = folder / "run"
        self.token = uuid.uuid4().hex
        self.temporary = temporary
        self._env = {**env, "MARIO_TEST_RUN": self.token, "TMPDIR": str(self.temporary)}
        self._folder = folder
        self._observer: EventObserver | None = None
        self.statuses: dict[str, WorkerStatus | LearnerStatus] = {}
        self.measured: dict[str, MetricSnapshot] = {}
        self.leases: set[Path] = set()
        self.segments: set[str] = set()
        self._foreign: set[Path] = set()
        self.start(*words)

    def start(self, *words: object) -> None:
        """Start, or resume."""
        self._foreign = set(self.temporary.glob("*/*.lease"))
        command = [sys.executable, "-m", "mario_agents.cli", "train", *map(str, words)]
        self.process = subprocess.Popen(
            command,
            cwd=self._folder,
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.statuses, self.measured = {}, {}
        self.logged: list[str] = []
        self._observer = None

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds; the run must go on meanwhile."""
        until(condition, self._look, lambda: (self.statuses, self.log()))

    def _look(self) -> None:
        assert self.process.poll() is None, self.process.communicate()
        for lease in self.temporary.glob("*/*.lease"):
            if lease not in self.leases and lease not in self._foreign:
                self.leases.add(lease)
        for lease in self.leases:
            if lease.exists():
                self.segments |= set(lease.read_text().split())
        if self._observer is None:
            try:
                self._observer = EventObserver(self.path)
            except RunError:
                pause()
                return
        for envelope in self._observer.poll(0.05):
            if isinstance(envelope.event, (WorkerStatus, LearnerStatus)):
                self.statuses[envelope.source] = envelope.event
            elif isinstance(envelope.event, Metrics):
                self.measured[envelope.source] = envelope.event.snapshot
            elif isinstance(envelope.event, Log):
                self.logged.append(envelope.event.text)

    def said(self, text: str, *, times: int = 1) -> bool:
        """Whether a log record that was sent since the start has ``text`` in it."""
        return sum(text in record for record in self.logged) >= times

    def pid(self, source: str) -> int:
        return self.statuses[source].pid

    @property
    def updates(self) -> int:
        """Of the coordinator, as far as it has told."""
        return self.count(COORDINATOR, "updates")

    def count(self, source: str, counter: str) -> int:
        """Of a process, as far as it has told."""
        told = self.measured.get(source)
        return round(told.counters[counter]) if told else 0

    def running(self, workers: int) -> bool:
        """Whether all workers have played, and the coordinator has made updates."""
        sources = [f"worker_{number}" for number in range(workers)]
        played = all(self.count(source, "steps") > 0 for source in sources)
        return played and self.updates > 0 and {COORDINATOR, *sources} <= set(self.statuses)

    def kill(self, source: str, number: signal.Signals = signal.SIGKILL) -> int:
        pid = self.pid(source)
        os.kill(pid, number)
        return pid

    def end(self) -> tuple[int, str]:
        """Wait for the end: exit status and the standard error stream."""
        _, errors = self.process.communicate(timeout=PATIENCE)
        assert "Traceback" not in errors
        return self.process.returncode, errors

    def heartbeat(self) -> SharedHeartbeat:
        """The signs of life of all its processes, as they are, and not as they tell."""
        for name in self.segments:
            with suppress(RunError):  # another kind of segment
                return SharedHeartbeat.attach(name)
        raise AssertionError("the run has no heartbeats yet")

    def log(self) -> str:
        path = self.path / "training.log"
        return path.read_text() if path.is_file() else ""

    def rows(self, name: str) -> list[dict[str, str]]:
        with (self.path / f"{name}.csv").open() as file:
            return list(csv.DictReader(file))

    def checkpoint(self) -> CheckpointStore:
        return CheckpointStore(self.path / "checkpoint")

    def assert_nothing_left(self) -> None:
        """No process, no shared memory, no lease; processes have a moment to go."""
        until(lambda: not processes_with(self.token), told=lambda: processes_with(self.token))
        assert self.segments, "the test never saw the shared memory of the run"
        assert [name for name in self.segments if (SHM / name.lstrip("/")).exists()] == []
        assert [lease for lease in self.leases if lease.exists()] == []

    def close(self) -> None:
        for pid in processes_with(self.token):
            os.kill(pid, signal.SIGKILL)
        self.process.communicate()
        if self._observer is not None:
            self._observer.close()


Start = Callable[..., LivingRun]
"""Of the fixture ``start``: more words of the command line, ``workers`` and ``trainer``."""


def go_on(run: LivingRun) -> None:
    """Wait for more updates."""
    updates = run.updates
    run.until(lambda: run.updates > updates + 5)


def stop(run: LivingRun) -> None:
    """End a run as people do, and check that it leaves everything behind and nothing around."""
    run.process.send_signal(signal.SIGINT)
    status, errors = run.end()
    assert status == 130, errors
    assert "Continue with: mario-agents train --resume run" in errors
    run.assert_nothing_left()
    latest = run.checkpoint().load_latest()
    counters = latest.state["counters"]
    assert sum(worker["steps"] for worker in counters) == latest.step
    for number, worker in enumerate(counters):
        rows = run.rows(f"worker_{number}")
        assert int(rows[-1]["steps"]) == worker["steps"]
        assert [int(row["steps"]) for row in rows] == sorted(int(row["steps"]) for row in rows)


def lose_coordinator(run: LivingRun) -> tuple[str, Checkpoint]:
    """Kill the coordinator, which ends the run, and check that nothing is left around.

    Returns:
        what the run said, and the checkpoint that it goes on from.
    """
    run.kill(COORDINATOR)
    status, errors = run.end()
    assert status == 2
    assert "The coordinator of the run is gone." in errors
    assert "mario-agents train --resume" in errors
    run.assert_nothing_left()
    return errors, run.checkpoint().load_latest()


def resume(run: LivingRun, before: Checkpoint, *words: object, steps: int) -> Checkpoint:
    """Train a run that has ended for so many more steps, and check that it learned on.

    Returns:
        its checkpoint at the end.
    """
    run.start("--resume", "run", "--total-steps", before.step + steps, *words)
    status, errors = run.end()
    assert status == 0, errors
    run.assert_nothing_left()
    after = run.checkpoint().load_latest()
    assert after.step >= before.step + steps
    assert after.state["updater"]["updates"] > before.state["updater"]["updates"]
    return after
