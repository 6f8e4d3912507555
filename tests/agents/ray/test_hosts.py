"""Training on two hosts that share nothing but a slow link."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from mario_envkit.plugins import load_trainer
from tests.agents.living_run import ENDLESS
from tests.agents.ray.conftest import ROOT
from tests.agents.ray.short_runs import (
    MORE_STEPS,
    TRAINERS,
    assert_learned,
    assert_resumed,
    assert_rows,
    latest,
    options,
)
from tests.agents.ray.two_hosts import Hosts, two_hosts
from tests.agents.trained_run import rows
from tests.waiting import PATIENCE, pause, until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pair(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    env = {
        "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": "0123456789abcdef" * 4,
        "RAY_worker_niceness": "0",
    }
    with two_hosts(tmp_path_factory.mktemp("hosts"), env) as hosts:
        hosts.start_ray()
        yield hosts


@pytest.fixture
def hosts(pair: Hosts) -> Iterator[Hosts]:
    """They are there for all tests of this file."""
    yield pair
    pair.end_all()
    pair.assert_nothing_left()


def train(hosts: Hosts, folder: Path, *words: object) -> None:
    """To the end."""
    process = hosts.train(folder, *words)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("name", [*TRAINERS, "a3c"])
def test_a_trainer_learns_on_two_hosts_over_a_slow_link_evaluates_and_goes_on(
    hosts: Hosts, name: str
) -> None:
    trainer = load_trainer(name)
    folder = hosts.folder / name
    folder.mkdir()
    (folder / "options.yaml").write_text(yaml.safe_dump(options(trainer, name, hosts.address)))
    lost = hosts.link.lost
    train(hosts, folder, name, "--config", "options.yaml", "--run-dir", "run")
    run = folder / "run"
    # There is room for one beside the learner: the other host, without the folder, sent its rows.
    assert f"is on {hosts.second.address}." in (run / "training.log").read_text()
    first = assert_learned(run)
    hosts.assert_nothing_left()
    train(hosts, folder, "--resume", "run", "--total-steps", first.step + MORE_STEPS)
    assert_resumed(run, first)
    assert hosts.link.lost > lost


@dataclass
class WatchedRun:
    """A run without an end on both hosts, of which nothing is known but its files."""

    hosts: Hosts
    process: subprocess.Popen[str]
    path: Path

    @classmethod
    def begin(cls, hosts: Hosts, name: str, *words: object) -> WatchedRun:
        """Begin it, and wait until both workers and the learner are at work."""
        folder = hosts.folder / name
        folder.mkdir()
        process = hosts.train(
            folder, "walk", "--engine", "ray", "--address", hosts.address, "--workers", 2,
            "--checkpoint-interval", 1000, "--log-interval", 500, "--device", "cpu",
            "--run-dir", "run", "--eval-interval", 0, *ENDLESS, *words,
        )  # fmt: skip
        run = cls(hosts, process, folder / "run")
        run.until(lambda: run.updates > 0 and all(run.steps(number) > 0 for number in range(2)))
        return run

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds; the run must go on meanwhile."""
        until(condition, self._look, self.log)

    def _look(self) -> None:
        assert self.process.poll() is None, self.process.communicate()
        pause()

    def log(self) -> str:
        path = self.path / "training.log"
        return path.read_text() if path.is_file() else ""

    def steps(self, number: int) -> int:
        """Of a worker, as far as its rows tell."""
        return self._last(f"worker_{number}", "steps")

    @property
    def updates(self) -> int:
        return self._last("coordinator", "updates")

    def _last(self, source: str, counter: str) -> int:
        found = rows(self.path, source) if (self.path / f"{source}.csv").is_file() else []
        return int(found[-1][counter] or 0) if found else 0

    def far_worker(self) -> int:
        """Number of a worker on the second host."""
        where = re.findall(r"Worker (\d) is on (\S+)\.\n", self.log())
        return max(int(number) for number, host in where if host == self.hosts.second.address)

    def go_on(self, *workers: int) -> None:
        """Wait for more updates, and more steps of these workers."""
        updates, steps = self.updates, {number: self.steps(number) for number in workers}
        self.until(lambda: self.updates > updates + 5)
        self.until(lambda: all(self.steps(number) > steps[number] for number in workers))

    def stop(self) -> None:
        """End it as people do; all rows are there, each once, and nothing is left running."""
        os.kill(self.process.pid, signal.SIGINT)
        _, errors = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 130, errors
        assert "Traceback" not in errors
        self.hosts.assert_nothing_left()
        assert_rows(self.path, latest(self.path))


@contextmanager
def cut(hosts: Hosts) -> Iterator[None]:
    hosts.link.cut = True
    try:
        yield
    finally:
        hosts.link.cut = False


def test_a_link_that_is_cut_for_seconds_costs_no_worker(hosts: Hosts) -> None:
    run = WatchedRun.begin(hosts, "short", "--synchronous")
    before = hosts.actors()
    with cut(hosts):
        time.sleep(5)
    run.go_on(0, 1)
    assert hosts.actors() == before
    run.stop()
    assert "is gone" not in run.log()


def test_a_worker_that_was_cut_off_is_replaced_and_not_listened_to_when_it_comes_back(
    hosts: Hosts,
) -> None:
    """The node is not lost; a successor has its place at once on the other one."""
    run = WatchedRun.begin(
        hosts, "replaced", "--heartbeat-timeout", 5, "--worker-cpus", 0.5, "--learner-cpus", 0.5
    )
    number, before = run.far_worker(), hosts.second.workers()
    with cut(hosts):
        run.until(lambda: f"Worker {number} is gone and will be replaced" in run.log())
    until(lambda: not set(before) & set(hosts.second.workers()), told=hosts.actors)
    run.go_on(0, 1)
    assert len(hosts.first.workers()) + len(hosts.second.workers()) == 2
    run.stop()


def test_a_host_that_was_cut_off_for_long_is_a_lost_node_which_leaves_nothing_and_can_join_again(
    hosts: Hosts,
) -> None:
    run = WatchedRun.begin(hosts, "long", "--synchronous", "--heartbeat-timeout", 10)
    number = run.far_worker()
    with cut(hosts):
        run.until(lambda: "There is no room in the Ray cluster for worker" in run.log())
        assert "training goes on with 1 of 2 workers" in run.log()
        run.go_on(1 - number)
    # Ray there hears that it was given up, and ends.
    until(lambda: not hosts.second.processes(), told=hosts.second.processes)
    run.go_on(1 - number)
    hosts.join_ray()
    run.until(lambda: "has found room on" in run.log())
    run.go_on(0, 1)
    run.stop()
