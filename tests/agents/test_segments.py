"""Shared memory that belongs to a run: gone after it, whatever happens to it."""

from __future__ import annotations

import _posixshmem
import fcntl
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest

from mario_agents.runtime.shm import segments as module
from mario_agents.runtime.shm.segments import (
    SharedSegments,
    attach,
    remove_after_owner,
    remove_leftovers,
)
from mario_envkit.errors import RunError

from .hammering import SPAWN, attach_and_leave, own_segments, running

ROOT = Path(__file__).parents[2]


@pytest.fixture
def leases(tmp_path):
    return tmp_path / "leases"


@pytest.fixture
def python(tmp_path):
    """Runs a script in another Python; from a file, so that it can spawn."""

    def run(script: str) -> subprocess.CompletedProcess[str]:
        file = tmp_path / "script.py"
        file.write_text(textwrap.dedent(script))
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            [sys.executable, str(file)], env=env, capture_output=True, text=True, check=False
        )

    return run


def exists(name: str) -> bool:
    try:
        os.close(_posixshmem.shm_open(name, os.O_RDONLY, mode=0o600))
    except FileNotFoundError:
        return False
    return True


def test_memory_is_shared_zeroed_and_gone_afterwards(leases):
    with SharedSegments(leases) as segments:
        name, memory = segments.create(100_000)
        assert memory.dtype == np.uint8
        assert memory.shape == (100_000,)
        assert not memory.any()
        other = attach(name)
        other[5] = 9
        assert memory[5] == 9
    assert not exists(name)
    with pytest.raises(RunError, match="the run it belongs to ended"):
        attach(name)
    memory[6] = other[5]  # what is mapped stays good
    assert other[6] == 9
    assert list(leases.iterdir()) == []
    segments.close()  # twice does no harm


def test_an_exception_leaves_nothing(leases):
    names = []

    def fail():
        with SharedSegments(leases) as segments:
            names.append(segments.create(10)[0])
            raise KeyError("gone wrong")

    with pytest.raises(KeyError, match="gone wrong"):
        fail()
    assert not exists(names[0])


def test_a_child_that_ends_takes_nothing_along(leases):
    """No resource tracker removes a segment because some process that attached to it ended."""
    with SharedSegments(leases) as segments:
        name, memory = segments.create(10)
        for index in range(2):
            with running(attach_and_leave, name, index) as process:
                process.join()
            assert process.exitcode == 0
        assert memory.tolist() == [1, 1] + 8 * [0]
        assert exists(name)


def killed_owner(leases: Path, sizes: list[int]) -> list[str]:
    ours, theirs = SPAWN.Pipe()
    with running(own_segments, str(leases), sizes, theirs) as process:
        names = ours.recv()
        assert all(map(exists, names))
        os.kill(process.pid, signal.SIGKILL)
    return names


def test_a_new_run_removes_what_a_killed_one_left(leases):
    names = killed_owner(leases, [10, 5000])
    assert all(map(exists, names))
    with SharedSegments(leases) as segments:
        assert segments.leftovers == names
        assert not any(map(exists, names))
        assert [path.name for path in leases.iterdir()] == [f"{segments.token}.lease"]


def test_an_owner_whose_lock_outlives_it_for_a_moment(leases):
    (name,) = killed_owner(leases, [10])
    (lease,) = leases.iterdir()
    lock = lease.open()
    fcntl.flock(lock, fcntl.LOCK_EX)  # as if the dying owner had not closed all its files yet
    assert remove_leftovers(leases) == []
    threading.Timer(0.2, lock.close).start()
    remove_after_owner(name, leases)
    assert not exists(name)
    assert list(leases.iterdir()) == []


def test_living_runs_do_not_touch_each_other(leases):
    """Two processes and two owners in this one; a dead one beside them."""
    ours, theirs = SPAWN.Pipe()
    with running(own_segments, str(leases), [10], theirs) as process:
        (living,) = ours.recv()
        dead = killed_owner(leases, [10])
        with SharedSegments(leases) as first, SharedSegments(leases) as second:
            assert first.leftovers == dead
            assert second.leftovers == []
            names = [living, first.create(10)[0], second.create(10)[0]]
            assert remove_leftovers(leases) == []
            assert all(map(exists, names))
        assert exists(living)
        ours.send("close")
        process.join()
        assert process.exitcode == 0
    assert not exists(living)


@pytest.mark.parametrize("point", ["shm_open", "posix_fallocate", "_map"])
def test_killed_while_making_a_segment(leases, python, point):
    """The name is in the lease before the segment is there."""
    if point == "posix_fallocate" and not hasattr(os, point):
        pytest.skip("this system does not reserve memory")
    script = f"""
        import os, signal
        from pathlib import Path
        from mario_agents.runtime.shm import segments as module
        owner = {{"shm_open": module._posixshmem, "posix_fallocate": os, "_map": module}}["{point}"]
        original = getattr(owner, "{point}")
        def die(*args, **kwargs):
            if "{point}" == "shm_open":
                original(*args, **kwargs)
            os.kill(os.getpid(), signal.SIGKILL)
        segments = module.SharedSegments(Path({str(leases)!r}))
        setattr(owner, "{point}", die)
        segments.create(10)
    """
    assert python(script).returncode == -signal.SIGKILL
    (lease,) = leases.iterdir()
    (name,) = lease.read_text().split()
    assert exists(name)
    assert remove_leftovers(leases) == [name]
    assert not exists(name)
    assert list(leases.iterdir()) == []


def test_a_lease_never_removes_what_is_not_its_own(leases):
    """Whatever stands in a lease, only names with its own token are removed."""
    with SharedSegments(leases) as segments:
        name, _ = segments.create(10)
        forged = leases / "0123456789ab.lease"
        forged.write_text(f"{name}\n/etc/passwd\n../x\n/mario-0123456789ab-0\n\xff")
        (leases / "notes.txt").write_text(name)
        assert remove_leftovers(leases) == []
        assert exists(name)
        assert not forged.exists()
        assert (leases / "notes.txt").exists()


def test_a_cleaner_that_is_faster_than_a_new_owner(leases, monkeypatch):
    """It removes the lease between its making and its locking: the owner makes another."""
    try_lock, calls = module._try_lock, []

    def late(descriptor):
        calls.append(descriptor)
        if len(calls) == 1:
            (lease,) = leases.iterdir()
            lease.unlink()
        return try_lock(descriptor)

    monkeypatch.setattr(module, "_try_lock", late)
    with SharedSegments(leases) as segments:
        assert len(calls) == 2
        assert [path.name for path in leases.iterdir()] == [f"{segments.token}.lease"]


def test_too_much_memory_is_an_error_and_leaves_nothing(leases):
    with SharedSegments(leases) as segments:
        with pytest.raises(RunError, match=r"shared memory .*use fewer"):
            segments.create(1 << 50)
        assert not exists(f"/mario-{segments.token}-0")
        name, _ = segments.create(10)  # and the run may go on with less
        assert exists(name)
    assert not exists(name)
    with pytest.raises(RunError, match="closed"):
        segments.create(10)


def test_a_directory_that_is_not_ours_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "leases").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunError, match="directory of your own"):
        SharedSegments(tmp_path / "leases")


def test_names_fit_macos(leases):
    with SharedSegments(leases) as segments:
        assert len(segments.create(1)[0]) < 31 - len("00000")


def test_nothing_is_printed_at_exit(leases, python):
    """Arrays alive, children ended, the run not closed: no tracker and no ``__del__`` complains."""
    script = f"""
        from pathlib import Path
        from mario_agents.runtime.shm.segments import SharedSegments
        from tests.agents.hammering import SPAWN, attach_and_leave
        if __name__ == "__main__":
            segments = SharedSegments(Path({str(leases)!r}))
            name, memory = segments.create(100)
            view = memory[10:20].view("u2")
            child = SPAWN.Process(target=attach_and_leave, args=(name, 1))
            child.start()
            child.join()
            assert memory[1] == 1
    """
    result = python(script)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert len(remove_leftovers(leases)) == 1
