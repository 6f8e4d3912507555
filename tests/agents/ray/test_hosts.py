"""Two hosts that share nothing but a slow link: namespaces of this machine, which need root."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import pytest

from mario_agents.run import CheckpointStore
from tests.agents.ray.conftest import ROOT, STORE
from tests.agents.ray.slow_link import SlowLink
from tests.agents.trained_run import rows
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.slow
PORT = 6399
RATE = "40mbit"
"""Of the link; packets of 1 MB take a fifth of a second."""
DELAY, LOSS = 0.02, 0.005
"""Seconds of a way, and share of lost frames."""


@dataclass
class Host:
    """A network namespace with one address, and a file system that differs from others' in the
    folders that Ray and the test use."""

    name: str
    address: str
    env: dict[str, str]
    ray: subprocess.Popen[bytes] | None = None
    log: Path = field(default_factory=Path)

    def start(self, hidden: list[Path], log: Path, *words: str) -> None:
        """Start Ray, with nothing in the ``hidden`` folders; they are this host's own."""
        self.log = log
        mounts = "".join(f"mount -t tmpfs tmpfs {path} && " for path in hidden)
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *words,
                   f"--node-ip-address={self.address}", "--num-cpus=2",
                   f"--object-store-memory={STORE}"]  # fmt: skip
        with log.open("wb") as output:
            self.ray = subprocess.Popen(
                ["ip", "netns", "exec", self.name, "unshare", "--mount", "--propagation", "private",
                 "sh", "-c", f'{mounts}exec "$@"', "sh", *command],
                env=self.env, stdout=output, stderr=output,
            )  # fmt: skip
        until(lambda: "Ray runtime started" in log.read_text(), told=log.read_text)

    def stop(self) -> None:
        """End all that runs on it."""
        if self.ray is not None:
            self.ray.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.ray.wait(20)
        left = subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, text=True)
        for pid in left.stdout.split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)

    def begin(self, folder: Path, *words: object) -> subprocess.Popen[str]:
        """Begin ``mario-agents`` on this host."""
        assert self.ray is not None
        command = [sys.executable, "-m", "mario_agents.cli", *map(str, words)]
        return subprocess.Popen(
            ["nsenter", "--target", str(self.ray.pid), "--mount", "--net",
             f"--wd={folder}", *command],
            env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@dataclass
class Hosts:
    """Two of them, the first with the head of a cluster, and what joins them."""

    pair: list[Host]
    link: SlowLink

    def train(self, folder: Path, *words: object) -> subprocess.Popen[str]:
        """Train on the first, with two workers."""
        return self.pair[0].begin(
            folder, "train", "walk", "--engine", "ray", "--address",
            f"{self.pair[0].address}:{PORT}", "--workers", 2, "--checkpoint-interval", 1000,
            "--log-interval", 500, "--device", "cpu", "--run-dir", "run", "--eval-interval", 0,
            *words,
        )  # fmt: skip


@pytest.fixture
def hosts(site: Path, tmp_path: Path) -> Iterator[Hosts]:
    """Two hosts that share no files, and a slow link."""
    tools = all(map(shutil.which, ("ip", "tc", "nsenter", "unshare")))
    if sys.platform != "linux" or os.geteuid() != 0 or not tools or find_spec("ray") is None:
        pytest.skip("needs root, iproute2 and the package ray")
    short = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))  # paths of sockets must be short
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": "0123456789abcdef" * 4,
        "RAY_worker_niceness": "0",
        "RAY_raylet_start_wait_time_s": "120",
        "RAY_TMPDIR": str(short / "ray"),
    }
    (short / "ray").mkdir()
    tag = f"{os.getpid() % 10_000}"
    made = [Host(f"mario{tag}{end}", f"10.231.7.{end}", env) for end in (1, 2)]
    names = f"a{tag}", f"b{tag}"
    try:
        link = SlowLink(names, delay=DELAY, loss=LOSS)
    except OSError as error:
        pytest.skip(f"no TAP devices: {error}")
    try:
        for host in made:
            try:
                ip("netns", "add", host.name)
            except subprocess.CalledProcessError as error:
                pytest.skip(f"no network namespaces: {error.stderr.decode().strip()}")
        for host, name in zip(made, names, strict=True):
            ip("link", "set", name, "netns", host.name)
            ip("-n", host.name, "addr", "add", f"{host.address}/24", "dev", name)
            for each in ("lo", name):
                ip("-n", host.name, "link", "set", each, "up")
            subprocess.run(
                ["tc", "-n", host.name, "qdisc", "add", "dev", name, "root", "tbf",
                 "rate", RATE, "burst", "64kb", "latency", "400ms"],
                check=True,
            )  # fmt: skip
        own = [short / "ray", Path("/dev/shm")]
        made[0].start(own, tmp_path / "head.log", "--head", f"--port={PORT}",
                      "--include-dashboard=false")  # fmt: skip
        elsewhere = tmp_path / "first"
        elsewhere.mkdir()
        made[1].start([*own, elsewhere], tmp_path / "node.log",
                      f"--address={made[0].address}:{PORT}")  # fmt: skip
        yield Hosts(made, link)
    finally:
        for host in made:
            host.stop()
            subprocess.run(["ip", "netns", "del", host.name], capture_output=True)
        link.close()
        shutil.rmtree(short, ignore_errors=True)


def assert_whole(run: Path, *, steps: int) -> None:
    """The rows of every worker are here, each once, and as many steps as are saved."""
    end = CheckpointStore(run / "checkpoint").load_latest()
    assert end.step >= steps
    for number, counters in enumerate(end.state["counters"]):
        found = [int(row["steps"]) for row in rows(run, f"worker_{number}")]
        assert found[-1] == counters["steps"] > steps // 4
        assert found == sorted(found)


def test_hosts_that_share_no_files_train_together_over_a_slow_link(
    hosts: Hosts, tmp_path: Path
) -> None:
    folder = tmp_path / "first"
    process = hosts.train(folder, "--synchronous", "--total-steps", 3000)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    log = (folder / "run" / "training.log").read_text()
    for host in hosts.pair:
        assert f"is on {host.address}." in log
    assert_whole(folder / "run", steps=3000)
    assert hosts.link.lost > 0
