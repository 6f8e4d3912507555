"""Locks that die with their process."""

from __future__ import annotations

import errno
import os
import re
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mario_envkit.command_line import in_words
from mario_envkit.errors import RunBusy, RunError
from mario_envkit.files import LockWarning, has_no_locks, process_lives

if sys.platform == "win32":
    from mario_envkit import win32
else:
    import fcntl

_CONFLICT = (errno.EAGAIN, errno.EACCES)
"""What POSIX has a call say if somebody else holds the lock; network mounts mean no permission by
the second one, too. Windows says the second one."""
_CERTAIN = errno.EACCES if sys.platform == "win32" else errno.EAGAIN
"""What means nothing else."""


@contextmanager
def sole(path: Path, busy: str) -> Iterator[None]:
    """Be the only process that has ``path`` locked.

    A POSIX record lock, or Windows' own: the kernel drops it when its process dies, however that
    happens, so a lock is never stale, and forked children do not inherit it. The file says who
    holds it.

    On a file system without locks (some network mounts) that text is all there is: it keeps out
    another process of this machine as long as the one it names lives. Processes of other machines
    cannot be looked for; a :class:`~mario_envkit.files.LockWarning` says so.

    Args:
        path: the file; it is made if there is none, and stays.
        busy: sentence of the error, with ``{}`` for who holds it.

    Raises:
        RunBusy: if another process holds it.
        RunError: if there can be no such file, or it cannot be locked.
    """
    try:
        # Never truncated on opening: the text belongs to whoever holds the lock.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise RunError(
            f"{path.parent} cannot be written to, and training has to. {in_words(error)}"
        ) from error
    try:
        _take(descriptor, path, busy)
        _sign(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n")
        try:
            yield
        finally:
            _sign(descriptor, "")
    finally:
        os.close(descriptor)


def _take(descriptor: int, path: Path, busy: str) -> None:
    """Lock the file.

    Raises:
        RunBusy, RunError: see :func:`sole`.
    """
    try:
        if sys.platform == "win32":
            win32.lock(descriptor, wait=False)
        else:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.lseek(descriptor, 0, os.SEEK_SET)
        holder = os.read(descriptor, 200).decode(errors="replace").strip()
        conflict = error.errno in _CONFLICT and (error.errno == _CERTAIN or holder)
        if conflict or (has_no_locks(error) and _lives(holder)):
            raise RunBusy(busy.replace("{}", holder or "a process")) from error
        if not has_no_locks(error):
            raise RunError(
                f"The file system does not let {path} be locked ({error.strerror}), so that nobody "
                "knows whether another process is at work there; use a directory on another one."
            ) from error
        named = f" ({path.name} names {holder})" if holder else ""
        warnings.warn(
            f"The file system of {path.parent} has no locks ({error.strerror}): make sure that no "
            f"other process is at work there{named}.",
            LockWarning,
            4,
        )


def _sign(descriptor: int, text: str) -> None:
    """Say in the file who holds it, as far as there is space for that."""
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, text.encode(errors="replace"))


def _lives(holder: str) -> bool:
    """Whether the process that a lock file names is one of this machine, another than this one,
    and alive."""
    match = re.fullmatch(r"process (\d+) on (.+)", holder)
    if match is None or match[2] != socket.gethostname() or int(match[1]) == os.getpid():
        return False
    return process_lives(int(match[1]))
