"""Addresses of a run's event sockets, and the file that tells them to observers."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import zmq

from mario_agents.run.decoding import decode_json
from mario_agents.telemetry.events.messages import PROTOCOL_VERSION
from mario_envkit.closing import ClosesItself
from mario_envkit.errors import RunError
from mario_envkit.files import replace_text

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

SERVER_NAME = "events.json"
PREFIX = "mario-events-"
LOOPBACK = "tcp://127.0.0.1:*"
"""A port of the system's choice that only this machine reaches."""


def tcp_address(host: str) -> str:
    """A port of the system's choice at one of this machine's addresses."""
    return f"tcp://[{host}]:*" if ":" in host else f"tcp://{host}:*"


class EventDirectory(ClosesItself):
    """A private directory for a run's sockets, for as long as the run lasts.

    Paths of sockets are limited to about 100 characters, so they do not lie in the run directory.
    The directory (mode 0700) keeps other users away. It is removed by :meth:`close`, or, if its
    process was killed, by the next run: a locked file in it tells whether its process lives.

    Where the system has no ipc sockets (Windows) there is no directory, and sockets are those of
    the loopback interface, which other users of the machine can reach.

    Args:
        ipc: False takes the loopback interface although there is ipc.
        root: where to; default is the system's directory for temporary files.

    Raises:
        RunError: if the directory cannot be made.
    """

    def __init__(self, *, ipc: bool = True, root: Path | None = None) -> None:
        self.path: Path | None = None
        self._lock = -1
        if not ipc or not zmq.has("ipc") or sys.platform == "win32":
            return
        root = Path(tempfile.gettempdir()) if root is None else root
        if len(os.fsencode(root)) > zmq.IPC_PATH_MAX_LEN - 40:
            root = Path("/tmp")
        _remove_dead(root)
        try:
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))
            self._lock = _locked_file(self.path)
        except OSError as error:
            raise RunError(
                f"No directory for sockets can be made in {root}: {error.strerror}; set TMPDIR to "
                "a directory that is writable."
            ) from error

    def address(self, name: str) -> str:
        """Address to bind a socket called ``name`` to; at most 16 characters."""
        return LOOPBACK if self.path is None else f"ipc://{self.path / name}"

    def close(self) -> None:
        """Remove the directory; harmless when repeated."""
        if self.path is not None and self.path.exists():
            shutil.rmtree(self.path)
            os.close(self._lock)


def _locked_file(directory: Path) -> int:
    """Make ``directory/lock`` in such a way that it is never seen without its lock."""
    if sys.platform == "win32":
        raise NotImplementedError
    draft = directory / "draft"
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    draft.rename(directory / "lock")
    return descriptor


def _remove_dead(root: Path) -> None:
    """Remove our directories whose process is gone."""
    if sys.platform == "win32":
        raise NotImplementedError
    for directory in _own_directories(root):
        try:
            descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CLOEXEC)
        except OSError:  # removed meanwhile, or about to be finished by its process
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # alive
            continue
        else:
            shutil.rmtree(directory, ignore_errors=True)
        finally:
            os.close(descriptor)


def _own_directories(root: Path) -> Iterator[Path]:
    if sys.platform == "win32":
        raise NotImplementedError
    for directory in root.glob(f"{PREFIX}*"):
        try:
            if directory.stat(follow_symlinks=False).st_uid == os.getuid():
                yield directory
        except FileNotFoundError:
            continue


class EventServer(msgspec.Struct, frozen=True):
    """What ``events.json`` of a run says to observers.

    Attributes:
        version: of the protocol.
        run: token of the run.
        address: of its :class:`~mario_agents.telemetry.events.observer.EventBroadcast`.
        pid: of its main process.
        started: when that began to train (Unix seconds), 0 if it did not say.
    """

    version: int
    run: str
    address: str
    pid: int
    started: float = 0.0


def write_server(run_path: Path, token: str, address: str) -> None:
    """Say in the run directory where its events can be observed.

    Raises:
        RunError: if the disk refuses.
    """
    server = EventServer(PROTOCOL_VERSION, token, address, os.getpid(), time.time())
    try:
        replace_text(run_path / SERVER_NAME, msgspec.json.encode(server).decode() + "\n")
    except OSError as error:
        raise RunError(
            f"Cannot write {run_path / SERVER_NAME}: {error.strerror}; training needs a directory "
            "that is writable, and space in it."
        ) from error


def remove_server(run_path: Path) -> None:
    """Undo :func:`write_server`; harmless when repeated."""
    (run_path / SERVER_NAME).unlink(missing_ok=True)


def read_server(run_path: Path) -> EventServer:
    """Where the events of a run can be observed.

    The file of a run that was killed stays; no events come from there then.

    Raises:
        RunError: if the run is not being trained, or by a version with another protocol.
    """
    file = run_path / SERVER_NAME
    try:
        server = decode_json(file.read_bytes(), EventServer)
    except FileNotFoundError as error:
        raise RunError(
            f"The run {run_path} is not being trained now: it has no {SERVER_NAME}."
        ) from error
    except (OSError, msgspec.DecodeError) as error:
        raise RunError(f"{file} is damaged: {error}.") from error
    if server.version != PROTOCOL_VERSION:
        raise RunError(
            f"The run {run_path} is trained by another version of mario-envkit (events of version "
            f"{server.version}, here {PROTOCOL_VERSION}); observe it with that one."
        )
    return server
