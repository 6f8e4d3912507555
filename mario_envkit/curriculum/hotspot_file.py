"""Hotspots that several processes gather in one file."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from mario_envkit.arguments import as_bool, as_file
from mario_envkit.curriculum.hotspots import DeathHotspotAggregate
from mario_envkit.errors import HotspotError
from mario_envkit.files import locked


class HotspotWarning(UserWarning):
    """A hotspot file could not be used; play goes on with what was known before."""


class SharedHotspots:
    """The deaths of this process together with those in a file.

    A file that is damaged is never overwritten and never stops play: the last good content stays
    in use, :attr:`problem` and a :class:`HotspotWarning` say why, and what is recorded meanwhile
    is kept for the next :meth:`flush` that succeeds.

    Args:
        path: the file, which need not exist yet; None keeps everything in memory.
        read_only: never write the file. Our own deaths count until it is next read: whoever writes
            it is taken to have heard of them.

    Attributes:
        aggregate: everything known: the file's last good content and our own deaths.
        problem: what is wrong with the file, or None.
    """

    def __init__(self, path: Path | None = None, *, read_only: bool = False) -> None:
        # Absolute: the program may go to another directory.
        self.path = as_file("path", path).absolute() if path is not None else None
        self.aggregate = DeathHotspotAggregate()
        self.problem: str | None = None
        self._read_only = as_bool("read_only", read_only)
        self._pending = DeathHotspotAggregate()
        self._seen: tuple[int, int, int] | None = None
        self.refresh()

    def record_death(self, level_id: str, x_pos: int, area: int | None = None) -> None:
        """Count a death."""
        self.aggregate.record_death(level_id, x_pos, area)
        self._pending.record_death(level_id, x_pos, area)

    def refresh(self) -> bool:
        """Look at the file if it has changed; whether it had, and could be read."""
        version = self._version()
        if self.path is None or version is None or version == self._seen:
            return False
        self._seen = version
        return self._read() is not None

    def flush(self) -> bool:
        """Add our new deaths to the file, one process at a time; whether that worked."""
        if self.path is None or self._read_only or not self._pending.dirty:
            return False
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with locked(self.path):
                together = self._read()
                if together is None:
                    return False
                together.save(self.path)
        except HotspotError as error:
            self._say(str(error))
            return False
        except OSError as error:
            self._say(f"The hotspot file {self.path} cannot be written: {error.strerror}.")
            return False
        self._pending = DeathHotspotAggregate()
        self._seen = self._version()
        return True

    def forget(self) -> None:
        """Begin anew, unless there is a file."""
        if self.path is None:
            self.aggregate, self._pending = DeathHotspotAggregate(), DeathHotspotAggregate()

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles: with a file both go on with that, without each by itself."""
        self.flush()
        state = vars(self).copy()
        if self.path is not None and not self._read_only:
            # What could not be written yet is written by one of them, not twice.
            state["_pending"] = DeathHotspotAggregate()
        return state

    def _read(self) -> DeathHotspotAggregate | None:
        """The file and our own deaths, which also becomes :attr:`aggregate`."""
        assert self.path is not None
        try:
            together = DeathHotspotAggregate.load_or_create(self.path)
        except HotspotError as error:
            self._say(str(error))
            return None
        if self._read_only:
            self._pending = DeathHotspotAggregate()
        together.merge(self._pending)
        self.aggregate, self.problem = together, None
        return together

    def _say(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            warnings.warn(f"{problem} Going on with the last good one.", HotspotWarning, 3)

    def _version(self) -> tuple[int, int, int] | None:
        if self.path is None:
            return None
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._say(f"The hotspot file {self.path} cannot be read: {error.strerror}.")
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size
