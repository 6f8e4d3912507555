"""Snapshots by place, a bounded number of them, in memory and as files."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from mario_envkit.arguments import as_int, as_path
from mario_envkit.errors import ArchiveError, SnapshotMismatch
from mario_envkit.files import replace_file
from mario_envkit.snapshots.entry import X_BUCKET, ArchivedSnapshot, OtherFormat, Place

MAX_ENTRIES = 256
"""Of MarioTrain's observations (84x84, stack 4) some 20 MB."""

NEAR = 100
"""Pixels: a snapshot of a game's own is worth more than the archive's as long as it lies no farther
than this before the place to practise from, or a bucket after it."""

SUFFIX = ".snapshot"
_MASTERED = 0.9


class ArchiveWarning(UserWarning):
    """Files of an archive's directory could not be used; the others are."""


class SnapshotArchive:
    """At most one snapshot for each place, at most ``max_entries`` in all.

    * A new snapshot takes the place of the old one, unless practice from that has succeeded and
      the new one was no sooner there: what is known to be playable is not given up for a moment
      that may be one before a sure death.
    * A snapshot from which ``doomed_after`` attempts all failed is dropped.
    * Over the limit goes first what is mastered (9 of 10 attempts succeed), then what has not been
      used for longest.

    Args:
        max_entries: the most snapshots.
        doomed_after: failures without a success after which a snapshot is dropped.

    Raises:
        OptionError: if one of these is not positive.
    """

    def __init__(self, max_entries: int = MAX_ENTRIES, doomed_after: int = 3) -> None:
        self.max_entries = as_int("max_entries", max_entries, least=1)
        self.doomed_after = as_int("doomed_after", doomed_after, least=1)
        self._entries: OrderedDict[Place, ArchivedSnapshot] = OrderedDict()  # last used last
        self._changed: set[Place] = set()
        self._dropped: set[Place] = set()
        self._said_full = False
        self._passed_over: dict[Path, int] = {}  # unusable files, and when they were written
        self._directory: Path | None = None  # the one that these two sets refer to

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[ArchivedSnapshot]:
        return iter(tuple(self._entries.values()))

    def __contains__(self, place: object) -> bool:
        return place in self._entries

    def get(self, place: Place) -> ArchivedSnapshot | None:
        """The snapshot of a place, or None."""
        return self._entries.get(place)

    def add(self, entry: ArchivedSnapshot) -> bool:
        """Put a snapshot in its place; whether it was taken."""
        old = self._entries.get(entry.place)
        if old is not None and old.practice.successes and entry.tick >= old.tick:
            return False
        self._put(entry)
        self._changed.add(entry.place)
        return True

    def choose(
        self,
        level: str,
        area: int,
        death_x: int,
        restore_x: int,
        tick: int,
        own: Collection[ArchivedSnapshot] = (),
    ) -> ArchivedSnapshot | None:
        """The snapshot to practise from after a death.

        The nearest at or left of ``restore_x`` in the same area; else the nearest left of the
        death; else the last one, by the level's time, from an area that came before.

        Before them come snapshots that the game which ended took on its way there, ``own``, if
        they lie near enough: the archive's is the same moment for everybody and each time, and
        practice from one moment teaches that moment.
        """
        near = [
            entry for entry in own
            if entry.place.level == level and entry.place.area == area
            and restore_x - NEAR <= entry.x_pos <= min(restore_x + X_BUCKET, death_x - 1)
            and not self._is_doomed(entry)
        ]  # fmt: skip
        if near:  # the nearest at or left of it, else the first one behind it
            return max(
                near,
                key=lambda entry: (-max(entry.x_pos - restore_x, 0), entry.x_pos, -entry.tick),
            )
        level_entries = [entry for entry in self._entries.values() if entry.place.level == level]
        here = [e for e in level_entries if e.place.area == area and e.x_pos < death_x]
        before = [e for e in here if e.x_pos <= restore_x]
        for candidates in (before, here):
            if candidates:
                # Of two at the same x the one with more time left on the clock.
                return max(candidates, key=lambda entry: (entry.x_pos, -entry.tick))
        elsewhere = [e for e in level_entries if e.place.area != area and e.tick <= tick]
        return max(elsewhere, key=lambda entry: entry.tick, default=None)

    def record(self, entry: ArchivedSnapshot, *, success: bool) -> None:
        """Count an attempt from ``entry``, and drop it if it is doomed."""
        entry.practice.attempts += 1
        entry.practice.successes += success
        if self._entries.get(entry.place) is not entry:
            return  # replaced in the meantime
        if self._is_doomed(entry):
            self._drop(entry.place)
        else:
            self._entries.move_to_end(entry.place)
            self._changed.add(entry.place)

    def clear(self) -> None:
        """Drop everything."""
        for place in tuple(self._entries):
            self._drop(place)

    # -- files -------------------------------------------------------------------------------

    def save(self, directory: Path) -> None:
        """Write what changed since the last time, one file a snapshot.

        Every file is written beside its name and renamed, so that another process can read the
        directory meanwhile. The files of snapshots that were dropped are removed; files that were
        never taken in are left alone.

        Raises:
            ArchiveError: if the directory cannot be written; what is in memory stays as it is,
                and the next call tries again.
        """
        directory = as_path("directory", directory)
        try:
            directory.mkdir(parents=True, exist_ok=True)
            for place, entry in self._entries.items():
                if place in self._changed or directory != self._directory:
                    _write(directory / (place.name + SUFFIX), entry.to_bytes())
            for place in self._dropped:
                (directory / (place.name + SUFFIX)).unlink(missing_ok=True)
        except OSError as error:
            raise ArchiveError(
                f"The archive directory {directory} cannot be written: {error.strerror}; give a "
                "directory that is writable."
            ) from error
        self._changed.clear()
        self._dropped.clear()
        self._directory = directory

    def update(self, directory: Path) -> int:
        """Take in the snapshots of ``directory`` for places of which there is none here.

        A damaged file is passed over with an :class:`ArchiveWarning`, and so are those that another
        version of this package has written, with one for all of them; none is read again before it
        changes. Of more snapshots than there is room for the newest are taken, with a warning the
        first time; no file is removed for it.

        Returns:
            How many were taken in.

        Raises:
            ArchiveError: if there is such a directory but it cannot be read.
        """
        directory = as_path("directory", directory)
        if self._directory is None and not self._entries:
            self._directory = directory
        known = {place.name for place in (*self._entries, *self._dropped)}
        files = {path: t for path, t in _newest_first(directory).items() if path.stem not in known}
        taken = left = 0
        other_format: list[Path] = []
        for path, written in files.items():
            if len(self._entries) >= self.max_entries:
                left += 1
            elif self._passed_over.get(path) != written:
                entry = self._read(path, written, other_format)
                if entry is not None:
                    self._put(entry)
                    taken += 1
        if other_format:
            warnings.warn(
                f"{len(other_format)} snapshots in {directory}, {other_format[0].name} among them, "
                "are of another version of mario-envkit and were passed over; delete these files, "
                "and play takes new ones.",
                ArchiveWarning,
                2,
            )
        if left and not self._said_full:
            self._said_full = True
            warnings.warn(
                f"The archive holds {self.max_entries} snapshots, its limit, and {left} more stay "
                f"in their files in {directory}; raise max_entries to use them.",
                ArchiveWarning,
                2,
            )
        return taken

    @classmethod
    def load(
        cls, directory: Path, max_entries: int = MAX_ENTRIES, doomed_after: int = 3
    ) -> SnapshotArchive:
        """An archive of the files in ``directory``; empty if there is none. See :meth:`update`."""
        archive = cls(max_entries, doomed_after)
        archive.update(directory)
        return archive

    # -- inside ------------------------------------------------------------------------------

    def _read(self, path: Path, written: int, other_format: list[Path]) -> ArchivedSnapshot | None:
        """The snapshot in a file; None if it cannot be used, with a warning or in the list."""
        try:
            return ArchivedSnapshot.from_bytes(path.read_bytes())
        except FileNotFoundError:
            return None  # dropped by its owner since it was listed
        except OSError as error:
            warnings.warn(f"{path} was passed over: {error.strerror}.", ArchiveWarning, 3)
            return None
        except OtherFormat:
            other_format.append(path)
        except SnapshotMismatch as error:
            warnings.warn(f"{path} was passed over. {error}", ArchiveWarning, 3)
        self._passed_over[path] = written
        return None

    def _put(self, entry: ArchivedSnapshot) -> None:
        self._entries[entry.place] = entry
        self._entries.move_to_end(entry.place)
        self._dropped.discard(entry.place)
        if len(self._entries) > self.max_entries:
            others = [e for e in self._entries.values() if e is not entry]
            mastered = (e for e in others if e.practice.success_rate >= _MASTERED)
            self._drop(next(mastered, others[0]).place)

    def _is_doomed(self, entry: ArchivedSnapshot) -> bool:
        return not entry.practice.successes and entry.practice.attempts >= self.doomed_after

    def _drop(self, place: Place) -> None:
        del self._entries[place]
        self._changed.discard(place)
        self._dropped.add(place)


def _write(path: Path, raw: bytes) -> None:
    # Hundreds of them, each with a checksum: not worth waiting for the disk while training.
    replace_file(path, lambda temporary: temporary.write_bytes(raw), survives_power_cut=False)


def _newest_first(directory: Path) -> dict[Path, int]:
    """The snapshot files of a directory and when they were written; none if there is none."""
    written: list[tuple[int, Path]] = []
    try:
        for path in directory.iterdir():
            if path.suffix == SUFFIX:
                with suppress(FileNotFoundError):  # dropped by its owner since it was listed
                    written.append((-path.stat().st_mtime_ns, path))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ArchiveError(
            f"The archive directory {directory} cannot be read: {error.strerror}; give a directory."
        ) from error
    return {path: -age for age, path in sorted(written)}
