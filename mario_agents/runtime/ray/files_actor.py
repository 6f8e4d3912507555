"""The actor that has a folder, such as a run directory, on the node of the main process.

It imports no torch, so that it is there soon.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from mario_envkit.errors import RunError
from mario_envkit.files import append, replace_file


class Stamp(NamedTuple):
    """What tells two states of a file apart."""

    modified: int
    size: int
    inode: int


class RunFiles:
    """The folder, for actors on other nodes, each of which has a lease.

    An actor that was given up, since its node could not be reached, may come back when another one
    is at its work: its lease is not valid any more, and its files are not taken.

    Args:
        path: of the folder.
    """

    def __init__(self, path: str) -> None:
        self._root = Path(path)
        self._revoked: set[str] = set()

    def revoke(self, lease: str) -> None:
        """A lease is not valid any more."""
        self._revoked.add(lease)

    def call(self, lease: str, method: str, *arguments: Any) -> Any:
        """Call another method.

        Raises:
            RunError: if the lease is not valid.
        """
        if lease in self._revoked:
            raise RunError("This process was given up, and what it writes is not wanted any more.")
        return getattr(self, method)(*arguments)

    def stamps(self, names: list[str]) -> dict[str, Stamp]:
        """Of those files, and of all in those folders, that there are."""
        found: dict[str, Stamp] = {}
        for name in names:
            place = self._place(name)
            found |= stamps_of(self._root, place.rglob("*") if place.is_dir() else [place])
        return found

    def read(self, name: str) -> bytes | None:
        """What is in a file; None if it is gone."""
        try:
            return self._place(name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes, start: int) -> OSError | Stamp | None:
        """Let a file have ``content`` from byte ``start`` on, which is 0 or where it ends.

        Returns:
            the file's stamp, None if it does not end there, or why it cannot be written.
        """
        path = self._place(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if start == 0:
                replace_file(path, lambda temporary: temporary.write_bytes(content))
            else:
                if not path.is_file() or path.stat().st_size < start:
                    return None
                os.truncate(path, start)  # what a call wrote that is now made once more
                append(path, content)
        except OSError as error:
            return OSError(error.errno, error.strerror or str(error))
        return stamp_of(path)

    def remove(self, name: str) -> OSError | None:
        """Remove a file; returns why not."""
        try:
            self._place(name).unlink(missing_ok=True)
        except OSError as error:
            return OSError(error.errno, error.strerror or str(error))
        return None

    def _place(self, name: str) -> Path:
        path = self._root / name
        if ".." in Path(name).parts or Path(name).is_absolute():
            raise RunError(f"{name} is not in the run directory.")
        return path


def stamps_of(root: Path, paths: Iterable[Path]) -> dict[str, Stamp]:
    """Of files, by their names below ``root``; not of those that are being written."""
    found = {}
    for path in paths:
        if not path.name.startswith(".") and path.is_file() and (stamp := stamp_of(path)):
            found[path.relative_to(root).as_posix()] = stamp
    return found


def stamp_of(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return Stamp(status.st_mtime_ns, status.st_size, status.st_ino)
