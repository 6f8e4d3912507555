"""Locks that die with their process."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mario_envkit.errors import RunError

try:
    import fcntl
except ImportError:  # Windows has no POSIX record locks
    fcntl = None  # type: ignore[assignment]


@contextmanager
def sole(path: Path, busy: str) -> Iterator[None]:
    """Be the only process that has ``path`` locked.

    A POSIX record lock: the kernel drops it when its process dies, however that happens, so a lock
    is never stale, and forked children do not inherit it. The file says who holds it.

    Args:
        path: the file; it is made if there is none, and stays.
        busy: sentence of the error, with ``{}`` for who holds it.

    Raises:
        RunError: if another process holds it.
    """
    if fcntl is None:
        raise RunError("Training needs POSIX file locks, which this system does not have.")
    # Never truncated on opening: the text belongs to whoever holds the lock.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(descriptor, 200).decode(errors="replace").strip()
            raise RunError(busy.replace("{}", holder or "a process")) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        try:
            yield
        finally:
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)
