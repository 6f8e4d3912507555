"""A Ray cluster of two nodes on this machine, for all tests that need one."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.agents.living_run import LivingRun, processes_with
from tests.waiting import until

ROOT = Path(__file__).parents[3]
STORE = 80 << 20
"""Bytes of a node's object store."""
ROLES = ("CoordinatorActor", "WorkerActor", "RunFiles")


@dataclass
class TestCluster:
    """A cluster, as :class:`ray.cluster_utils.Cluster` has it."""

    __test__ = False
    nodes: Any

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
        return [pid for pid, parent, title in _processes() if parent in raylets and _ours(title)]

    def raylet(self, node: Any) -> int:
        return int(node.all_processes["raylet"][0].process.pid)


@pytest.fixture(scope="session")
def cluster(site: Path) -> Iterator[TestCluster]:
    """Two nodes, with two CPUs each; the first is the one that commands run on."""
    if sys.platform != "linux" or find_spec("ray") is None:
        pytest.skip("needs Linux and the package ray")
    before = dict(os.environ)
    # Before ray is imported, and for all that it starts.
    os.environ |= {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": "0123456789abcdef" * 4,
        "RAY_raylet_start_wait_time_s": "120",
        "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]),
    }
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
    yield TestCluster(nodes)
    nodes.shutdown()
    os.environ.clear()
    os.environ |= before


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


def _ours(title: str) -> bool:
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
