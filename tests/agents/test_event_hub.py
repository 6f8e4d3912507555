"""The main process's side of metrics, deaths and events; and what is reported to it."""

from __future__ import annotations

import csv
import json
import logging
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mario_agents.algos.dqn.metrics import METRICS
from mario_agents.config import TrainConfig
from mario_agents.core.algorithm import WorkerContext
from mario_agents.run import RunDir
from mario_agents.runtime.heartbeat_monitor import HeartbeatMonitor
from mario_agents.runtime.reporters import (
    CoordinatorReporter,
    WorkerReporter,
    headline,
)
from mario_agents.runtime.shm.heartbeat import SharedHeartbeat
from mario_agents.runtime.worker import TrainingWorker
from mario_agents.runtime.worker_envs import SnapshotUsage
from mario_agents.telemetry import RunMetrics, read_metrics
from mario_agents.telemetry.death_log import DeathLog
from mario_agents.telemetry.episodes import CollectResult, Death, Episode
from mario_agents.telemetry.event_hub import EventHub
from mario_agents.telemetry.events import (
    COORDINATOR,
    DeathPositions,
    EventObserver,
    EventPublisher,
    Heartbeats,
    Log,
    WorkerStatus,
)
from mario_agents.testing.toy import ToyLearner, ToyModel
from mario_envkit.errors import HotspotError
from tests.waiting import PATIENCE, until

EPISODE = Episode(0, "1-1", 30.0, 20, 523, 600, 0, False, False)
ROUND = CollectResult(
    64, [EPISODE], [Death("1-1", 523, "pit")], {"epsilon": 0.5, "buffer_size": 64}
)


class ListSink:
    def __init__(self):
        self.rows, self.closed = [], False

    def write(self, step, values):
        self.rows.append((step, dict(values)))

    def close(self):
        self.closed = True


@pytest.fixture
def run(tmp_path):
    return RunDir.create(tmp_path / "run", trainer="ddqn", config=TrainConfig())


@pytest.fixture
def sink():
    return ListSink()


@pytest.fixture
def hub(run, sink):
    with make_hub(run, sink) as hub:
        yield hub


def make_hub(run, *sinks):
    return EventHub(run, RunMetrics.of(METRICS), sinks)


def deaths_in(run):
    return json.loads(run.hotspots_path.read_text())["levels"]


def wait(hub, condition):
    until(condition, lambda: hub.poll(0.05))


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_worker_elsewhere_and_one_here_report_alike(run, hub, sink):
    remote = EventPublisher(hub.address, run=hub.token, source="worker_1")
    reporters = [
        WorkerReporter(run, 0, METRICS, hub.publisher("worker_0"), resume_step=None),
        WorkerReporter(run, 1, METRICS, remote, resume_step=None),
    ]
    for reporter in reporters:
        reporter.collected(ROUND)
        reporter.trained({"loss": 2.0})
        reporter.flush(128)
        reporter.write(128)
        reporter.write(128)
        reporter.close()
    coordinator = CoordinatorReporter(
        run, hub.metrics, hub.publisher(COORDINATOR), resume_step=None
    )
    coordinator.updated({"lr": 0.5, "grad_norm": 1.0})
    coordinator.flush(130)
    coordinator.close()
    wait(hub, lambda: "worker_1" in hub.statuses)
    for number, pid in enumerate([os.getpid()] * 2):
        status = hub.statuses[f"worker_{number}"]
        assert (status.pid, status.step) == (pid, 128)
        values = hub.workers.values(f"worker_{number}")
        assert (values["steps"], values["deaths"]) == (64, 1)
        (row,) = rows(run.csv_path(f"worker_{number}"))
        assert (row["step"], row["loss"], row["deaths"]) == ("128", "2", "1")
    assert hub.coordinator.values(COORDINATOR)["updates"] == 1
    combined = hub.workers.combined()
    assert (combined["steps"], combined["deaths"], combined["loss"]) == (128, 2, 2)
    assert headline(hub) == {"best x": 600, "deaths": 2, "flags": 0, "loss": 2.0, "ε": 0.5}
    assert hub.deaths.hotspots.deaths("1-1") == 2
    assert read_metrics(run.path) == hub.metrics == RunMetrics.of(METRICS)

    hub.write(140)
    hub.write(140)
    assert [step for step, _ in sink.rows] == [128, 128, 130, 140]
    names = set().union(*(values for _, values in sink.rows))
    assert {"worker_0/loss", "worker_1/reward", "coordinator/lr", "run/deaths"} <= names
    assert sink.rows[-1][1]["run/deaths"] == 2
    remote.close()


def test_a_worker_that_has_ended_leaves_the_combination(run, hub):
    reporter = WorkerReporter(run, 0, METRICS, hub.publisher("worker_0"), resume_step=None)
    reporter.collected(ROUND)
    reporter.flush(64, "starting")
    assert hub.workers.combined()["epsilon"] == 0.5
    reporter.flush(64, "stopped")
    reporter.close()
    assert math.isnan(hub.workers.combined()["epsilon"])
    assert hub.workers.combined()["deaths"] == 1


def test_a_report_that_goes_on_keeps_its_rows(run, hub):
    publisher = hub.publisher("worker_0")
    first = WorkerReporter(run, 0, METRICS, publisher, resume_step=None)
    first.collected(ROUND)
    first.flush(64)
    first.write(64)
    first.close()
    second = WorkerReporter(run, 0, METRICS, publisher, resume_step=64)
    second.logger.start_from(hub.workers.values("worker_0"))
    second.collected(ROUND)
    second.write(128)
    second.close()
    written = rows(run.csv_path("worker_0"))
    assert [(row["step"], row["steps"], row["deaths"]) for row in written] == [
        ("64", "64", "1"),
        ("128", "128", "2"),
    ]


def test_observers_get_what_the_hub_gets(run, hub):
    observer = EventObserver(run.path)
    local = hub.publisher("worker_0")
    remote = EventPublisher(hub.address, run=hub.token, source="worker_1")
    seen = set()

    def send() -> None:
        for publisher in (local, remote):
            publisher.publish(DeathPositions(level="1-1", positions=[1]))
        hub.poll(0.05)
        seen.update(envelope.source for envelope in observer.poll(0.05))

    until(lambda: seen == {"worker_0", "worker_1"}, send)
    observer.close()
    remote.close()


def test_observers_hear_the_main_process_and_nobody_twice(run, hub, monkeypatch):
    monkeypatch.setattr("mario_agents.runtime.heartbeat_monitor.HEARTBEAT_SECONDS", 1e6)
    observer = EventObserver(run.path)
    taker = HeartbeatMonitor(heartbeat := SharedHeartbeat.private(workers=2), {})
    heartbeat.row(1).join()
    heartbeat.row(1).join()
    heartbeat.row(1).add("steps", 7)
    heartbeats = taker.take()
    assert taker.take() is None  # not yet again
    (process,) = heartbeats.processes
    assert (process.source, process.pid, process.restarts) == ("worker_1", os.getpid(), 1)
    assert 0 <= process.age < 60
    other = Log(level=logging.WARNING, logger="mario_agents.x", text="from a worker")
    logger = logging.getLogger("mario_agents.somewhere")
    heard = []

    def listen() -> None:
        heard.extend(observer.poll(0.05))

    def announce_and_listen() -> None:  # until the observer has subscribed
        hub.announce(heartbeats)
        listen()

    until(lambda: heard, announce_and_listen)
    hub.publisher("worker_1").publish(other)
    logger.warning("%s is gone", "worker_1")
    hub.poll()
    logger.warning("the last")
    hub.poll()
    until(
        lambda: any(isinstance(e.event, Log) and e.event.text == "the last" for e in heard),
        listen,
    )
    observer.close()
    assert {e.source for e in heard if isinstance(e.event, Heartbeats)} == {"main"}
    assert next(e.event for e in heard if isinstance(e.event, Heartbeats)) == heartbeats
    told = [(e.source, e.event.text) for e in heard if isinstance(e.event, Log)]
    assert told == [
        ("worker_1", "from a worker"),
        ("main", "worker_1 is gone"),
        ("main", "the last"),
    ]
    assert observer.decoder.lost == observer.decoder.rejected.total == 0


def test_a_worker_tells_how_its_snapshots_are_used(run, hub):
    heartbeat = SharedHeartbeat.private(workers=1)
    heartbeat.row(0).add("saves", 10)  # of the process that it replaces
    reporter = WorkerReporter(run, 0, METRICS, hub.publisher("worker_0"), resume_step=None)
    reporter.logger.start_from({"saves": 10})
    context = WorkerContext(0, 1, 0, 0, 1, torch.device("cpu"))
    usages = iter([SnapshotUsage(2, 1, 1, 3), SnapshotUsage(5, 4, 2, 3)])
    games = SimpleNamespace(snapshot_usage=lambda: next(usages))
    learner = ToyLearner(ToyModel(2))
    worker = TrainingWorker(
        context, learner, learner, games, None, None, None, heartbeat, reporter,
        collect_steps=1, accumulate_grads=1, log_interval=1, cuda_graphs=False, schedules={},
        synchronous=False,
    )  # fmt: skip
    worker.end()
    worker.end()
    reporter.submitted()
    reporter.flush(64)
    reporter.close()
    values = hub.workers.values("worker_0")
    assert (values["saves"], values["restores"], values["stuck"]) == (15, 4, 2)
    assert values["packets"] == 1
    assert hub.statuses["worker_0"].max_stuck == 3
    row = heartbeat.row(0)
    assert (row.count("saves"), row.count("restores")) == (15, 4)


def test_the_coordinator_tells_version_and_staleness(run, hub):
    reporter = CoordinatorReporter(run, hub.metrics, hub.publisher(COORDINATOR), resume_step=None)
    reporter.updated({"packets": 2, "staleness": 1.0})
    reporter.updated({"packets": 1, "staleness": 2.0})
    reporter.logger.track("stale", 3)
    reporter.flush(64, 17)
    reporter.close()
    values = hub.coordinator.values(COORDINATOR)
    assert (values["staleness"], values["stale"]) == (1.5, 3)
    assert hub.statuses[COORDINATOR].version == 17


def test_an_evaluation_after_the_last_row_has_a_row(run, hub, sink):
    """As with worker processes: a row of the last step may be due before they have ended."""
    reporter = CoordinatorReporter(run, hub.metrics, hub.publisher(COORDINATOR), resume_step=None)
    reporter.flush(130)
    hub.write(130)
    reporter.evaluated({"eval_success": 0.5})
    reporter.flush(130)
    for _ in range(2):
        hub.write(130)
    reporter.close()
    found = [row["coordinator/eval_success"] for _, row in sink.rows if "coordinator/lr" in row]
    assert math.isnan(found[0])
    assert found[1:] == [0.5]


def test_log_records_of_other_processes_are_logged_here(hub, caplog):
    with caplog.at_level(logging.INFO, "mario_agents"):
        event = Log(level=logging.WARNING, logger="mario_agents.x", text="100 % slow")
        hub.publisher("worker_3").publish(event)
    assert caplog.messages == ["worker_3: 100 % slow"]


def test_losses_are_told(hub, caplog):
    remote = EventPublisher(hub.address, run="another run", source="worker_0")
    remote.publish(DeathPositions(level="1-1", positions=[1]))
    wait(hub, lambda: caplog.messages)
    assert "1 messages were ignored" in caplog.messages[0]
    remote.close()


def test_deaths_are_counted_once_over_restarts_and_resumes(run):
    for total in (3, 6):
        with make_hub(run) as hub:
            for generation in range(3):
                publisher = EventPublisher(
                    hub.address, run=hub.token, source="worker_0", generation=generation
                )
                publisher.publish(DeathPositions(level="1-1", positions=[523]))
                publisher.close()
            wait(hub, lambda hub=hub, total=total: hub.deaths.hotspots.deaths("1-1") == total)
        assert deaths_in(run) == {"1-1": {"500": total}}
        hub.close()


def test_what_was_sent_before_closing_is_counted(run, sink):
    with make_hub(run, sink) as hub:
        publisher = EventPublisher(hub.address, run=hub.token, source="worker_0")
        for x in range(900):
            publisher.publish(DeathPositions(level="1-1", positions=[x]))
        # Linger ends when everything has left this process; some of it waits at the hub.
        wait(hub, lambda: hub.deaths.hotspots.deaths("1-1") >= 1)
        publisher.publish(WorkerStatus(state="stopped", pid=1, step=1))
        publisher.close(10)
        wait(hub, lambda: "worker_0" in hub.statuses)
    assert sum(deaths_in(run)["1-1"].values()) == 900
    assert sink.closed


def test_the_death_log_saves_in_time(tmp_path):
    now, path = 0.0, tmp_path / "death_hotspots.json"
    log = DeathLog(path, interval=60, clock=lambda: now)
    log.record("1-1", [523])
    now = 59.0
    log.tick()
    assert not path.exists()
    now = 60.0
    log.tick()
    written = path.stat().st_mtime_ns
    now = 120.0
    log.tick()  # nothing new
    assert path.stat().st_mtime_ns == written
    log.record("1-1", [530, 40])
    log.close()
    assert json.loads(path.read_text())["levels"] == {"1-1": {"25": 1, "500": 1, "525": 1}}
    assert DeathLog(path).hotspots.deaths("1-1") == 3


def test_a_disk_that_refuses_is_told_and_tried_again(tmp_path, caplog):
    now, folder = 0.0, tmp_path / "folder"
    log = DeathLog(folder / "death_hotspots.json", interval=60, clock=lambda: now)
    folder.write_text("in the way")
    log.record("1-1", [523])
    now = 60.0
    log.tick()
    assert "cannot be written" in caplog.text
    with pytest.raises(HotspotError, match="cannot be written"):
        log.close()
    folder.unlink()
    now = 120.0
    log.tick()
    assert DeathLog(folder / "death_hotspots.json").hotspots.deaths("1-1") == 1


MAIN = """
import sys
from pathlib import Path
from tests.agents.test_event_hub import *
run = RunDir.open(Path(sys.argv[1]))
hub = make_hub(run)
hub.deaths._interval = 0
hub.publisher("worker_0").publish(DeathPositions(level="1-1", positions=[523]))
while True:
    hub.poll(0.01)
    print(hub.address, flush=True)
"""


@pytest.mark.slow
def test_a_killed_main_process_leaves_a_run_that_goes_on(run):
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, str(run.path)], cwd=root, stdout=subprocess.PIPE, text=True
    )
    sockets = Path(process.stdout.readline().strip().removeprefix("ipc://")).parent
    process.send_signal(signal.SIGKILL)
    process.wait(PATIENCE)
    process.stdout.close()
    assert sockets.exists()
    with make_hub(run) as hub:
        assert not sockets.exists()
        before = hub.deaths.hotspots.deaths("1-1")
        hub.publisher("worker_0").publish(DeathPositions(level="1-1", positions=[523]))
    assert deaths_in(run) == {"1-1": {"500": before + 1}}
    assert not (run.path / "events.json").exists()
