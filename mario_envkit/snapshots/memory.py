"""What practice remembers: deaths and snapshots, and the files in which others find them."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

from mario_envkit.curriculum.hotspot_file import SharedHotspots
from mario_envkit.errors import ArchiveError
from mario_envkit.snapshots.archive import SnapshotArchive
from mario_envkit.snapshots.options import SnapshotOptions


class SnapshotMemory:
    """Hotspots and an archive, as the arguments of an environment with snapshots ask for them.

    Args:
        options: which ask for these.

    Attributes:
        hotspots: where Mario dies.
        archive: where snapshots go.
        own_archive: whether it is in no file and was not given.

    Raises:
        ArchiveError: if the archive's directory cannot be used.
    """

    def __init__(self, options: SnapshotOptions) -> None:
        path, hotspots, archive = options.hotspot_path, options.hotspots, options.archive
        if isinstance(hotspots, str):
            where = None if path is None else Path(path)
            self.hotspots = SharedHotspots(where, read_only=hotspots == "read")
        else:
            self.hotspots = hotspots
        self._own_hotspots = path is None and isinstance(hotspots, str)
        self._directory: Path | None = None
        self.own_archive = archive is None
        if archive is None:
            archive = SnapshotArchive()
        elif not isinstance(archive, SnapshotArchive):
            self._directory = _writable(Path(archive)).absolute()
            archive = SnapshotArchive.load(self._directory)
        self.archive = archive

    def for_another_game(self) -> SnapshotMemory:
        """The memory of another game of a vector.

        It is the same as far as this one is in files or was given: what one game finds out there
        the others know at once. The rest is the other game's own.
        """
        other = SnapshotMemory(SnapshotOptions())
        if not self._own_hotspots:
            other.hotspots, other._own_hotspots = self.hotspots, False
        if not self.own_archive:
            other.archive, other.own_archive = self.archive, False
            other._directory = self._directory
        return other

    def own(self) -> dict[str, SnapshotArchive | SharedHotspots]:
        """What is in no file and was not given: nobody else knows it."""
        own: dict[str, SnapshotArchive | SharedHotspots] = {}
        if self.own_archive:
            own["archive"] = self.archive
        if self._own_hotspots:
            own["hotspots"] = self.hotspots
        return own

    def sync(self) -> None:
        """Write hotspots and archive to their files, if they have any, and take in what is new.

        Raises:
            ArchiveError: if the archive's directory cannot be used any more.
        """
        self.hotspots.flush()
        self.hotspots.refresh()
        if self._directory is not None:
            self.archive.save(self._directory)
            self.archive.update(self._directory)

    def forget(self) -> None:
        """Forget what is in no file and was not given."""
        self.hotspots.flush()
        if self._own_hotspots:
            self.hotspots.forget()
        if self.own_archive:
            self.archive.clear()


def _writable(directory: Path) -> Path:
    """``directory``, which exists from now on.

    Raises:
        ArchiveError: if nothing can be written there.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        reason = None if os.access(directory, os.W_OK | os.X_OK) else "no permission"
        if sys.platform != "win32" and reason and os.statvfs(directory).f_flag & os.ST_RDONLY:
            reason = os.strerror(errno.EROFS)
    except OSError as error:
        reason = str(error.strerror)
    if reason is not None:
        raise ArchiveError(
            f"archive={str(directory)!r} cannot be written: {reason}; give a directory that is "
            "writable."
        )
    return directory
