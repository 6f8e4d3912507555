"""Named shared memory that belongs to one run and never outlives it for long.

Segments are POSIX shared memory, made through the same two calls that
:mod:`multiprocessing.shared_memory` is built on. That class itself does not fit: up to Python 3.12
every process that attaches tells a *resource tracker*, which then removes living segments or prints
warnings, depending on who started whom; and its ``close`` fails while a numpy view is alive. Here
a segment is a plain numpy array. Its memory goes back to the system when the last array
over it is gone in every process, and its name has been removed.

Who removes the name, if all processes of a run may be killed at any instant? Every run holds a
*lease*: a file named after the run's random token, under an exclusive ``flock``, with the names of
its segments. Names are written there before the segments are made. The kernel drops the lock when
the owner dies, however that happens; so a lease that can be locked belongs to a dead run, and
whoever finds one (:func:`remove_leftovers`; every new run looks) removes the names in it. A
living run cannot be mistaken for a dead one, and names with another token are never touched. (If
every process of a run is killed and no other run follows, its memory is taken until a reboot.)
"""

from __future__ import annotations

import mmap
import os
import re
import secrets
import stat
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from mario_agents.runtime.shm.atomics import Memory
from mario_envkit.closing import ClosesItself
from mario_envkit.errors import RunError

try:
    import _posixshmem  # type: ignore[import-not-found]
    import fcntl
except ImportError:  # Windows: neither POSIX shared memory nor flock
    _posixshmem = fcntl = None  # type: ignore[assignment]

_TOKEN = "[0-9a-f]{12}"
# macOS allows 31 characters.
_NAME = re.compile(f"/mario-({_TOKEN})-[0-9]{{1,6}}")
_LEASE = re.compile(f"({_TOKEN})\\.lease")


def default_leases() -> Path:
    """The directory of this user's leases, in the system's temporary directory (``TMPDIR``; runs
    that set it differently never see, and never clean, each other's leases)."""
    if sys.platform == "win32":
        raise NotImplementedError
    return Path(tempfile.gettempdir()) / f"mario-agents-{os.getuid()}"


def require_shared_memory() -> None:
    """Complain where the system has no POSIX shared memory.

    Raises:
        RunError: on Windows.
    """
    if _posixshmem is None:
        raise RunError(
            "Worker processes need POSIX shared memory, which this system does not have: train "
            "with --workers 0, where one process plays --num-envs games at a time, or in a Linux "
            "container or the Windows Subsystem for Linux."
        )


class SharedSegments(ClosesItself):
    """The shared memory of one run, made and removed by the process that supervises it.

    Making one also removes what dead runs of this user left behind. Use it as a context manager::

        with SharedSegments() as segments:
            name, memory = segments.create(1 << 20)

    Other processes are given the name and call :func:`attach`; they need no object of this class
    and have nothing to clean. They must not be forks of this process: those would keep the lease
    locked.

    Args:
        leases: directory of the lease files; all runs of one user should use the same.

    Raises:
        RunError: where the system has no POSIX shared memory, or the directory is not ours.
    """

    def __init__(self, leases: Path | None = None) -> None:
        require_shared_memory()
        self._leases = _own_directory(leases or default_leases())
        self.leftovers = remove_leftovers(self._leases)
        self._token, self._lease = _new_lease(self._leases)
        self._names: list[str] = []

    @property
    def token(self) -> str:
        """Twelve hexadecimal digits that are this run's alone."""
        return self._token

    def create(self, size: int) -> tuple[str, Memory]:
        """A new segment of ``size`` bytes, all zero: its name, and its memory.

        The memory is reserved at once, where the system can: a full ``/dev/shm`` (64 MB in a
        Docker container, unless asked otherwise) is an error here and not a crash later.

        Raises:
            RunError: if there is not so much shared memory, or the run's is closed.
        """
        if self._lease < 0:
            raise RunError("The shared memory of this run is closed; make it before the run ends.")
        name = f"/mario-{self._token}-{len(self._names)}"
        try:
            os.write(self._lease, f"{name}\n".encode())
            self._names.append(name)
            return name, _make(name, size)
        except OSError as error:
            _remove([name])
            raise RunError(
                f"Cannot get {size / 1e6:.0f} MB of shared memory ({error.strerror}); use fewer "
                "workers, or make /dev/shm larger (docker run --shm-size=2g)."
            ) from error

    def close(self) -> None:
        """Remove all names. Arrays over the memory stay good; nobody can attach any more."""
        if self._lease < 0:
            return
        _remove(self._names)
        self._path.unlink(missing_ok=True)
        os.close(self._lease)
        self._lease = -1

    @property
    def _path(self) -> Path:
        return self._leases / f"{self._token}.lease"


def attach(name: str) -> Memory:
    """The memory of a segment that another process made (macOS may round its size up).

    Raises:
        RunError: if there is none of that name: the run that made it has ended.
    """
    try:
        descriptor = _posixshmem.shm_open(name, os.O_RDWR, mode=0o600)
    except FileNotFoundError as error:
        raise RunError(f"The shared memory {name} is gone: the run it belongs to ended.") from error
    try:
        return _map(descriptor, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)


def remove_leftovers(leases: Path | None = None) -> list[str]:
    """Remove the segments of runs whose owner is dead; returns their names.

    Any process may call it at any time, also a worker that finds its supervisor gone.
    """
    if sys.platform == "win32":
        raise NotImplementedError
    removed: list[str] = []
    for path in sorted(_own_directory(leases or default_leases()).iterdir()):
        match = _LEASE.fullmatch(path.name)
        if match is None:
            continue
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue  # its owner, or another cleaner, was faster; or nobody may have it
        try:
            if _try_lock(descriptor):
                names = os.read(descriptor, os.fstat(descriptor).st_size).decode("ascii", "replace")
                removed += _remove([name for name in names.split() if _owned(name, match[1])])
                path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)
    return removed


def remove_after_owner(name: str, leases: Path | None = None, *, seconds: float = 5.0) -> None:
    """Remove the segments of the run whose owner has just died; ``name`` is one of them.

    The owner's lock may be there for a moment longer than anything else of it: the files of a
    dying process are closed one after another.
    """
    match = _NAME.fullmatch(name)
    assert match is not None, name
    lease = (leases or default_leases()) / f"{match[1]}.lease"
    deadline = time.monotonic() + seconds
    while lease.exists() and time.monotonic() < deadline:
        remove_leftovers(leases)
        time.sleep(0.02)


def _owned(name: str, token: str) -> bool:
    match = _NAME.fullmatch(name)
    return match is not None and match[1] == token


def _remove(names: list[str]) -> list[str]:
    """Unlink segments; returns those that were there."""
    removed = []
    for name in names:
        try:
            _posixshmem.shm_unlink(name)
            removed.append(name)
        except FileNotFoundError:
            pass  # noted in the lease, but its owner died before it made it
    return removed


def _make(name: str, size: int) -> Memory:
    descriptor = _posixshmem.shm_open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR, mode=0o600)
    try:
        os.ftruncate(descriptor, size)
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, size)
        return _map(descriptor, size)
    finally:
        os.close(descriptor)


def _map(descriptor: int, size: int) -> Memory:
    # The array keeps the mapping alive, and the last array over it ends it.
    return np.frombuffer(mmap.mmap(descriptor, size), dtype=np.uint8)


def _try_lock(descriptor: int) -> bool:
    if sys.platform == "win32":
        raise NotImplementedError
    # flock, not lockf: it belongs to the open file, so that two runs in one process are two owners.
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise RunError(
            f"Files in {tempfile.gettempdir()} cannot be locked ({error.strerror}), which workers "
            "need; point TMPDIR to a directory on a disk of this machine."
        ) from error
    return True


def _new_lease(leases: Path) -> tuple[str, int]:
    """A fresh token, and the descriptor of its locked lease."""
    if sys.platform == "win32":
        raise NotImplementedError
    while True:
        token = secrets.token_hex(6)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        try:
            descriptor = os.open(leases / f"{token}.lease", flags, 0o600)
        except OSError as error:
            raise _unusable(leases, error) from error
        # Another run may have taken the still unlocked file for a dead run's, and removed it.
        if _try_lock(descriptor) and os.fstat(descriptor).st_nlink:
            return token, descriptor
        os.close(descriptor)


def _own_directory(path: Path) -> Path:
    """``path``, made if need be; never one that another user prepared in a shared directory."""
    if sys.platform == "win32":
        raise NotImplementedError
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.lstat()
    except OSError as error:
        raise _unusable(path, error) from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise RunError(
            f"{path} must be a directory of your own, because it says which shared memory may be "
            "removed; remove it, or point TMPDIR to another directory."
        )
    return path


def _unusable(path: Path, error: OSError) -> RunError:
    return RunError(
        f"{path}, where workers keep account of their shared memory, cannot be used: "
        f"{error.strerror}; point TMPDIR to a directory that is writable."
    )
