"""Two hosts that share nothing but a slow link: namespaces of this machine, which need root."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.agents.ray.conftest import ROOT, STORE, ours
from tests.agents.ray.slow_link import SlowLink
from tests.waiting import until

PORT = 6399
RATE = "40mbit"
"""Of the link; packets of 1 MB take a fifth of a second."""
DELAY, LOSS = 0.02, 0.005
"""Seconds of a way, and share of lost frames."""
HEALTH = (
    '{"health_check_initial_delay_ms": 0, "health_check_period_ms": 1000, '
    '"health_check_timeout_ms": 5000, "health_check_failure_threshold": 3}'
)
"""How soon Ray gives a node up that cannot be reached; by itself it takes a minute."""


@dataclass
class Host:
    """A network namespace with one address, and a file system that differs from others' in the
    folders that Ray and the test use.

    Attributes:
        name: of the namespace.
        address: in it.
        env: environment variables.
        folder: for what Ray prints.
        hidden: folders in which nothing is but what this host has put there.
        join: words of ``ray start``.
    """

    name: str
    address: str
    env: dict[str, str]
    folder: Path
    hidden: list[Path]
    join: list[str]
    ray: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start Ray; also once more, if it has ended."""
        mounts = "".join(f"mount -t tmpfs tmpfs {path} && " for path in self.hidden)
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *self.join,
                   f"--node-ip-address={self.address}", "--num-cpus=2",
                   f"--object-store-memory={STORE}"]  # fmt: skip
        log = self.folder / f"{self.name}.log"
        with log.open("wb") as output:
            self.ray = subprocess.Popen(
                ["ip", "netns", "exec", self.name, "unshare", "--mount", "--propagation", "private",
                 "sh", "-c", f'{mounts}exec "$@"', "sh", *command],
                env=self.env, stdout=output, stderr=output,
            )  # fmt: skip
        until(lambda: "Ray runtime started" in log.read_text(), told=log.read_text)

    def processes(self) -> dict[int, str]:
        """All that runs on it, by number: the title."""
        listed = subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, text=True)
        found = {}
        for pid in map(int, listed.stdout.split()):
            with suppress(OSError):  # it has just ended
                title = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
                if title:  # else it has ended, and nobody has asked how
                    found[pid] = title.decode(errors="replace")
        return found

    def workers(self) -> list[int]:
        """Processes of workers on it."""
        return [pid for pid, title in self.processes().items() if "ray::WorkerActor" in title]

    def stop(self) -> None:
        """End all that runs on it."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.ray is not None:
            self.ray.wait()

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
    """Two of them, the first with the head of a cluster, and what joins them.

    Attributes:
        first, second: the hosts.
        link: between them.
        folder: with runs, which the second does not see.
    """

    first: Host
    second: Host
    link: SlowLink
    folder: Path
    begun: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def address(self) -> str:
        """Of the cluster."""
        return f"{self.first.address}:{PORT}"

    def train(self, folder: Path, *words: object) -> subprocess.Popen[str]:
        """Begin ``mario-agents train`` on the first."""
        process = self.first.begin(folder, "train", *words)
        self.begun.append(process)
        return process

    def actors(self) -> list[int]:
        """Processes of actors of ours on any of them."""
        found = {**self.first.processes(), **self.second.processes()}
        return sorted(pid for pid, title in found.items() if ours(title))

    def assert_nothing_left(self) -> None:
        """No actor of ours."""
        until(lambda: not self.actors(), told=self.actors)

    def end_all(self) -> None:
        """End the commands that a test has left."""
        for process in self.begun:
            process.kill()
            process.communicate()
        self.begun.clear()


@contextmanager
def two_hosts(site: Path, folder: Path) -> Iterator[Hosts]:
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
    runs = folder / "runs"
    for made in (short / "ray", runs):
        made.mkdir()
    own = [short / "ray", Path("/dev/shm")]
    tag = f"{os.getpid() % 10_000}"
    first, second = (f"10.231.7.{end}" for end in (1, 2))
    head = ["--head", f"--port={PORT}", "--include-dashboard=false", f"--system-config={HEALTH}"]
    pair = (
        Host(f"mario{tag}1", first, env, folder, own, head),
        Host(f"mario{tag}2", second, env, folder, [*own, runs], [f"--address={first}:{PORT}"]),
    )
    names = f"a{tag}", f"b{tag}"
    try:
        link = SlowLink(names, delay=DELAY, loss=LOSS)
    except OSError as error:
        pytest.skip(f"no TAP devices: {error}")
    hosts = Hosts(*pair, link, runs)
    try:
        for host, name in zip(pair, names, strict=True):
            _connect(host, name)
        for host in pair:
            host.start()
        yield hosts
    finally:
        hosts.end_all()
        for host in pair:
            host.stop()
            subprocess.run(["ip", "netns", "del", host.name], capture_output=True)
        link.close()
        shutil.rmtree(short, ignore_errors=True)


def _connect(host: Host, device: str) -> None:
    """Make a namespace, with an end of the link."""
    try:
        ip("netns", "add", host.name)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces: {error.stderr.decode().strip()}")
    ip("link", "set", device, "netns", host.name)
    ip("-n", host.name, "addr", "add", f"{host.address}/24", "dev", device)
    for each in ("lo", device):
        ip("-n", host.name, "link", "set", each, "up")
    subprocess.run(
        ["tc", "-n", host.name, "qdisc", "add", "dev", device, "root", "tbf",
         "rate", RATE, "burst", "64kb", "latency", "400ms"],
        check=True,
    )  # fmt: skip
