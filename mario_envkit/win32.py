"""What files need on Windows, and nowhere else: locks, and the names of files that somebody reads.

Other modules call this where ``sys.platform == "win32"``; importing it does no harm elsewhere.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

try:
    import msvcrt
except ImportError:  # another system
    msvcrt = None  # type: ignore[assignment]

_LOCKED_BYTE = 1 << 30
"""Behind the end of every file that is locked: nobody else can read the bytes that are."""
_PATIENCE = 2.0
"""Seconds to wait for somebody who has a file open."""


def lock(descriptor: int, *, wait: bool) -> None:
    """Lock an open file until it is closed, or its process ends.

    Args:
        descriptor: of the file; where it is read and written next is undefined afterwards.
        wait: until whoever holds it lets go.

    Raises:
        PermissionError: if somebody else holds it and ``wait`` is False.
        OSError: if it cannot be locked.
    """
    if sys.platform != "win32":
        raise NotImplementedError
    while True:
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            if not wait:
                raise
            time.sleep(0.01)
        else:
            return


def replace(source: Path, target: Path) -> None:
    """:func:`os.replace`, which fails there while somebody, be it a dashboard, reads ``target``;
    most read a file at once, and close it.

    Raises:
        OSError: if it cannot be replaced.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return os.replace(source, target)
        except PermissionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
