"""Disks that are full: a real one, and one on which chosen writes fail."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


@contextmanager
def small_disk(path: Path, size: str = "4m") -> Iterator[Path]:
    """A file system of its own; skips the test where mounting is not permitted."""
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"no mount: {error}")
    if done.returncode:
        pytest.skip(f"mounting is not permitted: {done.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def with_small_shm(size: str) -> list[str]:
    """What to write before a command so that it alone has a ``/dev/shm`` of its own, of ``size``;
    skips the test where that is not permitted."""
    privately = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    mounted = f'mount -t tmpfs -o size={size} tmpfs /dev/shm && exec "$@"'
    before = [*privately, "sh", "-c", mounted, "sh"]
    try:
        done = subprocess.run([*before, "true"], capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"no mount namespaces: {error}")
    if done.returncode:
        pytest.skip(f"a /dev/shm of one's own is not permitted: {done.stderr.strip()}")
    return before


def fill(disk: Path) -> Path:
    """Take all the space there is, also again what was given back; remove the file to return it."""
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return filler


class FaultyDisk:
    """Everything that this process's own code writes below ``folder`` fails while :attr:`full`.

    It needs no rights: all writers go through :mod:`mario_envkit.files`.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = False
        self.refused: list[str] = []
        replace, opened = os.replace, Path.open

        def refuse(path: Any) -> None:
            if self.full and Path(path).is_relative_to(folder):
                self.refused.append(Path(path).name)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

        def replacing(source: Any, target: Any) -> None:
            refuse(target)
            replace(source, target)

        def opening(path: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            if "a" in mode:
                refuse(path)
            return opened(path, mode, *args, **kwargs)

        monkeypatch.setattr(os, "replace", replacing)
        monkeypatch.setattr(Path, "open", opening)
