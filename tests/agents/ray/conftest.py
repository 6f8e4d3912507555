"""A Ray cluster of two nodes on this machine, for all tests that need one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.agents.living_run import LivingRun, processes_with
from tests.waiting import PATIENCE, until

ROOT = Path(__file__).parents[3]
STORE = 80 << 20
"""Bytes of a node's object store."""
ROLES = ("CoordinatorActor", "WorkerActor", "RunFiles", "JobActor")


@dataclass
class TestCluster:
    """A cluster, as :class:`ray.cluster_utils.Cluster` has it."""

    __test__ = False
    nodes: Any
    token: str
    """In the environment of all its processes, and of those that they start."""

    @property
    def address(self) -> str:
        return str(self.nodes.address)

    def add_node(self, **kwargs: Any) -> Any:
        return self.nodes.add_node(object_store_memory=STORE, **kwargs)

    def actors(self) -> list[int]:
        """Processes of actors of ours that run anywhere in it."""
        raylets = [
            node.all_processes["raylet"][0].process.pid for node in self.nodes.list_all_nodes()
        ]
        return [pid for pid, parent, title in _processes() if parent in raylets and ours(title)]

    def commands(self) -> list[int]:
        """Processes of ``mario-agents`` that actors have started anywhere in it."""
        children = [pid for pid, _, title in _processes() if "mario_agents.child_entry" in title]
        return [pid for pid in processes_with(self.token) if pid in children]

    def assert_nothing_left(self) -> None:
        """No actor of ours, and no command that one has started."""
        until(lambda: not self._left(), told=self._left)

    def _left(self) -> list[int]:
        return [*self.actors(), *self.commands()]

    def raylet(self, node: Any) -> int:
        return int(node.all_processes["raylet"][0].process.pid)


@pytest.fixture(scope="package")
def cluster_environment(site: Path) -> Iterator[str]:
    """Environment variables, before ray is imported and for all that it starts, until the last test
    of this folder; one of them is a token of its own."""
    token = uuid.uuid4().hex
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": "0123456789abcdef" * 4,
            "RAY_raylet_start_wait_time_s": "120",
            "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]),
            "MARIO_TEST_CLUSTER": token,
        }.items():
            patch.setenv(name, value)
        yield token


@pytest.fixture(scope="package")
def cluster(cluster_environment: str) -> Iterator[TestCluster]:
    """Two nodes, with two CPUs each; the first is the one that commands run on."""
    if sys.platform != "linux" or find_spec("ray") is None:
        pytest.skip("needs Linux and the package ray")
    from ray.cluster_utils import Cluster

    nodes = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 2,
            "object_store_memory": STORE,
            "include_dashboard": False,
            "_system_config": {
                "worker_niceness": 0,
                # A node that is killed refuses connections at once; a busy one only takes long.
                "health_check_initial_delay_ms": 0,
                "health_check_period_ms": 1000,
                "health_check_timeout_ms": 10_000,
                "health_check_failure_threshold": 3,
            },
        },
    )
    nodes.add_node(num_cpus=2, object_store_memory=STORE)
    yield TestCluster(nodes, cluster_environment)
    nodes.shutdown()


def _processes() -> Iterator[tuple[int, int, str]]:
    """Number, parent's number and title of every process."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text().rpartition(")")[2].split()
            title = (path / "cmdline").read_bytes().decode(errors="replace")
        except OSError:  # it has just ended
            continue
        if fields[0] != "Z":
            yield int(path.name), int(fields[1]), title


def ours(title: str) -> bool:
    """Whether a process, by its title, is an actor of ours."""
    return title.startswith("ray::") and any(role in title for role in ROLES)


class LivingRayRun(LivingRun):
    """A run on a cluster; without one, on one of its own."""

    cluster: TestCluster | None = None

    def assert_nothing_left(self) -> None:
        """No process of the command, and no actor."""
        until(lambda: not self._left(), told=self._left)

    def _left(self) -> list[int]:
        actors = self.cluster.actors() if self.cluster else []
        return [*processes_with(self.token), *actors]


StartRay = Callable[..., LivingRayRun]
"""Of the fixture ``start_ray``: more words of the command line, and keyword arguments."""


@pytest.fixture
def start_ray(cluster: TestCluster, tmp_path: Path) -> Iterator[StartRay]:
    """Starts runs with two workers, which have ended with the test.

    ``own`` is for a run without the cluster, ``env`` for more environment variables, and ``folder``
    for another working directory.
    """
    runs: list[LivingRayRun] = []
    temporary = Path(tempfile.mkdtemp(prefix="run"))

    def start(
        *words: object,
        own: bool = False,
        env: Mapping[str, str] | None = None,
        folder: Path | None = None,
        workers: int = 2,
    ) -> LivingRayRun:
        place = folder or tmp_path / str(len(runs))
        place.mkdir(exist_ok=True)
        where = () if own else ("--address", cluster.address)
        common = ("--engine", "ray", *where, "--workers", workers, "--run-dir", "run",
                  "--checkpoint-interval", 1000, "--log-interval", 500,
                  "--device", "cpu")  # fmt: skip
        variables = {**os.environ, **(env or {})}
        living = LivingRayRun(place, temporary, variables, "walk", *common, *words)
        living.cluster = None if own else cluster
        runs.append(living)
        return living

    yield start
    for run in runs:
        run.close()
    shutil.rmtree(temporary, ignore_errors=True)


Begin = Callable[..., "subprocess.Popen[str]"]
"""Of the fixture ``begin``: words of the command line."""


@pytest.fixture
def begin(cluster: TestCluster, tmp_path: Path) -> Iterator[Begin]:
    """Starts ``mario-agents`` in a process of its own, in a temporary folder."""
    begun: list[subprocess.Popen[str]] = []

    def start(*words: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "mario_agents.cli", *map(str, words)], cwd=tmp_path,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        begun.append(process)
        return process

    yield start
    for process in begun:
        process.kill()
        process.communicate()
    cluster.assert_nothing_left()


def finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What a command printed that ended well."""
    output, errors = process.communicate(timeout=2 * PATIENCE)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    return output, errors
