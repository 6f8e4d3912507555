"""Two hosts that share nothing but a slow link: namespaces of this machine, which need root."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.agents.ray.conftest import STORE, ours
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
        hidden: folders in which nothing is but what this host has put there.
    """

    name: str
    address: str
    env: dict[str, str]
    hidden: list[Path]
    holder: subprocess.Popen[str] | None = None
    """Keeps the namespaces."""

    def open(self) -> None:
        """From now on programs can be started on it."""
        mounts = "".join(f"mount -t tmpfs tmpfs {path} && " for path in self.hidden)
        self.holder = subprocess.Popen(
            ["ip", "netns", "exec", self.name, "unshare", "--mount", "--propagation", "private",
             "sh", "-c", f"{mounts}echo open && exec sleep infinity"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.holder.stdout is not None
        assert self.holder.stdout.readline() == "open\n"

    def begin(self, folder: Path, *words: object, **kwargs: Any) -> subprocess.Popen[str]:
        """Begin a program in a folder; more arguments are those of Popen."""
        assert self.holder is not None
        return subprocess.Popen(
            ["nsenter", "--target", str(self.holder.pid), "--mount", "--net",
             f"--wd={folder}", *map(str, words)],
            **{"env": self.env, "text": True, "stdout": subprocess.PIPE,
               "stderr": subprocess.PIPE, **kwargs},
        )  # fmt: skip

    def start_ray(self, log: Path, *words: object) -> None:
        """Start a node that is nice to this machine."""
        with log.open("w") as output:
            self.begin(
                log.parent, sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *words,
                f"--node-ip-address={self.address}", "--num-cpus=2",
                f"--object-store-memory={STORE}", stdout=output, stderr=output,
            )  # fmt: skip
        until(lambda: "Ray runtime started" in log.read_text(), told=log.read_text)

    def processes(self) -> dict[int, str]:
        """All that was started on it, by number: the title."""
        listed = subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, text=True)
        found = {}
        for pid in map(int, listed.stdout.split()):
            with suppress(OSError):  # it has just ended
                title = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
                if title:  # else it has ended, and nobody has asked how
                    found[pid] = title.decode(errors="replace")
        if self.holder is not None:
            found.pop(self.holder.pid, None)
        return found

    def workers(self) -> list[int]:
        """Processes of workers on it."""
        return [pid for pid, title in self.processes().items() if "ray::WorkerActor" in title]

    def close(self) -> None:
        """End all that runs on it, and the namespace."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.holder is not None:
            self.holder.kill()
            self.holder.communicate()
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@dataclass
class Hosts:
    """Two of them, and what joins them.

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
        """Of their cluster."""
        return f"{self.first.address}:{PORT}"

    def start_ray(self) -> None:
        """Make them a cluster, with the head on the first."""
        head = "--head", f"--port={PORT}", "--include-dashboard=false"
        self.first.start_ray(self.folder.parent / "first.log", *head, f"--system-config={HEALTH}")
        self.join_ray()

    def join_ray(self) -> None:
        """Let the second one join the cluster."""
        self.second.start_ray(self.folder.parent / "second.log", f"--address={self.address}")

    def train(self, folder: Path, *words: object) -> subprocess.Popen[str]:
        """Begin ``mario-agents train`` on the first."""
        command = [sys.executable, "-m", "mario_agents.cli", "train", *words]
        self.begun.append(self.first.begin(folder, *command))
        return self.begun[-1]

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
def two_hosts(folder: Path, env: Mapping[str, str]) -> Iterator[Hosts]:
    """Two hosts that share no files, and a slow link; nothing runs on them.

    Args:
        folder: empty; ``runs`` in it is the folder of their programs.
        env: environment variables there, beside those that are here.
    """
    tools = all(map(shutil.which, ("ip", "tc", "nsenter", "unshare")))
    if sys.platform != "linux" or os.geteuid() != 0 or not tools or find_spec("ray") is None:
        pytest.skip("needs root, iproute2 and the package ray")
    short = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))  # paths of sockets must be short
    patience = {"RAY_raylet_start_wait_time_s": "120", "RAY_TMPDIR": str(short / "ray")}
    variables = {**os.environ, **patience, **env}
    runs = folder / "runs"
    for made in (short / "ray", runs):
        made.mkdir()
    own, tag = [short / "ray", Path("/dev/shm")], f"{os.getpid() % 10_000}"
    pair = (
        Host(f"mario{tag}1", "10.231.7.1", variables, own),
        Host(f"mario{tag}2", "10.231.7.2", variables, [*own, runs]),
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
            host.open()
        yield hosts
    finally:
        hosts.end_all()
        for host in pair:
            host.close()
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
    # Ray asks the way to the rest of the world which of its addresses a host is known by.
    ip("-n", host.name, "route", "add", "default", "dev", device)
    subprocess.run(
        ["tc", "-n", host.name, "qdisc", "add", "dev", device, "root", "tbf",
         "rate", RATE, "burst", "64kb", "latency", "400ms"],
        check=True,
    )  # fmt: skip
