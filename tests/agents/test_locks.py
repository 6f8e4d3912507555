"""File systems without locks, directories that cannot be written or read."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mario_agents.config import TrainConfig
from mario_agents.run import RunDir
from mario_agents.run.lock import sole
from mario_agents.runtime.shm.segments import SharedSegments
from mario_envkit.curriculum.hotspot_file import HotspotWarning, SharedHotspots
from mario_envkit.errors import RunBusy, RunError
from mario_envkit.files import LockWarning, locked
from tests.agents.disks import small_disk

BUSY = "The run is already being trained by {}."
HERE = socket.gethostname()


def refusing(number: int) -> Any:
    """A call that locks a file on a file system that says this."""

    def lock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return lock


@pytest.fixture
def living() -> Iterator[int]:
    """A process of this machine, another than this one."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield child.pid
    child.communicate()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_told_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(fcntl, "lockf", refusing(number))
    path = tmp_path / "run.lock"
    with pytest.warns(LockWarning, match="has no locks"), sole(path, BUSY):
        assert path.read_text() == f"process {os.getpid()} on {HERE}\n"
    assert path.read_text() == ""
    path.write_text("process 12 on another machine\n")
    with pytest.warns(LockWarning, match="names process 12 on another machine"), sole(path, BUSY):
        pass
    path.write_text(f"process 999999999 on {HERE}\n")  # killed
    with pytest.warns(LockWarning), sole(path, BUSY):
        pass


def test_without_locks_the_name_in_the_file_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, living: int
) -> None:
    monkeypatch.setattr(fcntl, "lockf", refusing(errno.ENOLCK))
    path = tmp_path / "run.lock"
    path.write_text(f"process {living} on {HERE}\n")
    with pytest.raises(RunBusy, match=f"trained by process {living} on "), sole(path, BUSY):
        pass


@pytest.mark.parametrize(
    ("number", "holder", "kind", "said"),
    [
        (errno.EAGAIN, "process 1 on there", RunBusy, "trained by process 1 on there"),
        (errno.EACCES, "process 1 on there", RunBusy, "trained by process 1 on there"),
        (errno.EACCES, "", RunError, r"does not let .*run.lock be locked \(Permission denied\)"),
        (errno.EIO, "process 1 on there", RunError, r"does not let .*\(Input/output error\)"),
    ],
)
def test_an_error_is_not_taken_for_somebody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, holder: str,
    kind: type[RunError], said: str,
) -> None:  # fmt: skip
    path = tmp_path / "run.lock"
    path.write_text(holder)
    monkeypatch.setattr(fcntl, "lockf", refusing(number))
    with pytest.raises(RunError, match=said) as caught, sole(path, BUSY):
        pass
    assert type(caught.value) is kind


def test_a_full_disk_does_not_end_what_has_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "ftruncate", refusing(errno.ENOSPC))
    with pytest.raises(ValueError, match="first"), sole(tmp_path / "run.lock", BUSY):
        raise ValueError("first")


def test_hotspots_and_videos_go_on_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", refusing(errno.ENOLCK))
    hotspots = SharedHotspots(tmp_path / "deaths.json")
    hotspots.record_death("1-1", 500)
    with pytest.warns(LockWarning, match="may be lost"):
        assert hotspots.flush()
    assert (hotspots.problem, hotspots.path.exists()) == (None, True)  # type: ignore[union-attr]
    monkeypatch.setattr(fcntl, "flock", refusing(errno.EIO))
    hotspots.record_death("1-1", 500)
    with pytest.warns(HotspotWarning, match="cannot be written: Input/output error. Going on"):
        assert not hotspots.flush()
    with pytest.raises(OSError, match="Input/output"), locked(tmp_path / "deaths.json"):
        pass


def test_shared_memory_says_where_locks_are_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", refusing(errno.ENOLCK))
    with pytest.raises(RunError, match=r"cannot be locked .*point TMPDIR to"):
        SharedSegments(tmp_path)
    monkeypatch.undo()
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"cannot be used: .*point TMPDIR to"):
        SharedSegments(tmp_path / "file" / "leases")


@pytest.fixture
def read_only(tmp_path: Path, cli: Any) -> Iterator[Path]:
    """A finished run on a file system that can only be read."""
    assert cli("train", "toy", "--run-dir", "run", "--total-steps", 20).returncode == 0
    with small_disk(tmp_path / "disk") as disk:
        run = shutil.copytree(tmp_path / "run", disk / "run")
        done = subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=False)
        if done.returncode:
            pytest.skip("no remount")
        yield run


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a file system")
def test_a_run_that_can_only_be_read(read_only: Path, cli: Any) -> None:
    done = cli("train", "--resume", read_only, "--total-steps", 40)
    assert done.returncode == 2
    assert done.stderr == (
        f"mario-agents: {read_only} cannot be written to, and training has to. "
        f"{read_only}/run.lock: Read-only file system.\n"
    )
    done = cli("eval", read_only)
    assert done.returncode == 0
    assert "greedy-plain" in done.stdout
    assert f"{read_only}/eval.json cannot be written" in done.stderr
    done = cli("eval", read_only, "--episodes", 1, "--out", read_only / "x.json")
    assert done.returncode == 2
    assert "greedy-plain" in done.stdout  # what was measured is not lost
    assert cli("monitor", read_only).returncode == 0
    for words in (["report"], ["record"]):
        done = cli(*words, read_only)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert "Read-only file system" in done.stderr
    assert cli("report", read_only, "--out", "page.html").returncode == 0


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may do everything")
def test_a_run_without_permission(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run", trainer="toy", config=TrainConfig())
    run.path.chmod(0o500)
    with pytest.raises(RunError, match="Permission denied"), run.lock():
        pass
    run.path.chmod(0)
    with pytest.raises(RunError, match="cannot be read"):
        RunDir.open(run.path)
    run.path.chmod(0o700)


def test_a_run_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunDir.create(tmp_path / "run", trainer="toy", config=TrainConfig())

    def denied(*_: object, **__: object) -> str:
        raise PermissionError(errno.EACCES, "Permission denied", str(run.path / "config.json"))

    monkeypatch.setattr(Path, "read_text", denied)
    with pytest.raises(RunError, match=r"cannot be read. .*config.json: Permission denied\."):
        RunDir.open(run.path)


def test_a_lock_that_works_says_nothing(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with sole(tmp_path / "run.lock", BUSY), locked(tmp_path / "file"):
            pass
