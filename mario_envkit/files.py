"""Files that are either the old one or the new one, never half of each."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

if sys.platform == "win32":
    from mario_envkit import win32
else:
    import fcntl

_UNFINISHED = re.compile(r"\..+\.(\d+)\.tmp(\.\w+)?")
"""Names that :func:`temporary_beside` gives."""


def replace_file(
    path: Path, write: Callable[[Path], object], *, survives_power_cut: bool = True
) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then put it in ``path``'s place.

    The data is on the disk before the name changes, and the name before this returns, so that
    neither a crash nor a power cut leaves a damaged file under ``path``. If ``write`` raises, the
    temporary file is removed and ``path`` is as it was.

    Args:
        path: the file.
        write: fills the temporary file that it is given.
        survives_power_cut: False does not wait for the disk, which takes milliseconds: for many
            small files that carry a checksum and can be spared.

    Raises:
        OSError: if it cannot be written, or ``path`` is there and no file: a device or a pipe
            would be gone afterwards for everybody.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError(errno.EINVAL, "It is a device or a pipe, and no file", str(path))
    temporary = temporary_beside(path)
    try:
        # Some libraries make files that only their owner can read; ours follow the umask.
        temporary.touch()
        mode = temporary.stat().st_mode
        write(temporary)
        temporary.chmod(mode)
        if survives_power_cut:
            with temporary.open("r+b") as file:  # Windows flushes no file that is only read
                os.fsync(file.fileno())
        if sys.platform == "win32":
            win32.replace(temporary, path)
        else:
            os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if survives_power_cut:
        _sync_directory(path.parent)


def temporary_beside(path: Path, suffix: str = "") -> Path:
    """Where this process writes what is to become ``path``.

    Args:
        path: the file.
        suffix: what the name has to end with, for libraries that go by it.
    """
    return path.with_name(f".{path.name}.{os.getpid()}.tmp{suffix}")


def remove_unfinished(directory: Path) -> None:
    """Remove what processes were writing to ``directory``, or below it, when they were killed.

    What living processes write stays, and so does what the disk refuses to remove.
    """
    for path in list(directory.rglob(".*.tmp*")):
        match = _UNFINISHED.fullmatch(path.name)
        if match is not None and not process_lives(int(match[1])):
            with suppress(OSError):
                path.unlink()


def process_lives(pid: int) -> bool:
    """Whether there is a process of this number, as far as can be told."""
    if sys.platform == "win32":  # asking would end it
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def replace_text(path: Path, text: str) -> None:
    """:func:`replace_file` for a text in UTF-8.

    What no encoding has, the bytes of a file's name that are no text, becomes ``?``.
    """
    raw = text.encode(errors="replace")
    replace_file(path, lambda temporary: temporary.write_bytes(raw))


def parse_json(text: str | bytes) -> Any:
    """What a JSON text says.

    Raises:
        ValueError: if it is none, not in UTF-8, or nested more deeply than anything of ours is.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def append(path: Path, raw: bytes) -> None:
    """Add to the end of a file, which is made if there is none: all of ``raw``, or nothing.

    Raises:
        OSError: if the disk refuses; the file is as it was.
    """
    with path.open("ab", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        try:
            rest = memoryview(raw)
            while rest:  # of a full disk the first call takes what there is room for
                rest = rest[file.write(rest) or 0 :]
        except OSError:
            with suppress(OSError):
                file.truncate(size)
            raise


class LockWarning(UserWarning):
    """A file system has no locks; what they guard goes on without."""


def has_no_locks(error: OSError) -> bool:
    """Whether a call that locks a file failed because its file system does not have locks, as some
    network mounts do not."""
    return error.errno in (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock beside ``path``: processes that all use it change the file one after another.

    It is the operating system's: a process that dies lets go of it. On a file system without locks
    there is a :class:`LockWarning`, and nobody waits: of two that change the file at once, one may
    win.

    Raises:
        OSError: if there can be no such file, or it cannot be locked.
    """
    with path.with_name(f".{path.name}.lock").open("ab") as file:
        try:
            if sys.platform == "win32":
                win32.lock(file.fileno(), wait=True)
            else:
                fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            if not has_no_locks(error):
                raise
            warnings.warn(
                f"The file system of {path.parent} has no locks ({error.strerror}): what another "
                f"process writes to {path.name} at the same moment may be lost.",
                LockWarning,
                4,
            )
        yield


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _sync_directory(path: Path) -> None:
    """Make a rename durable; the entry lives in the directory, not in the file. Windows opens no
    directories, and writes the entry by itself."""
    if sys.platform == "win32":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
