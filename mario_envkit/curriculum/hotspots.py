"""Where Mario dies, counted per level and stretch of 25 pixels."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mario_envkit.arguments import MOST, as_file, as_int, as_sequence, as_text, not_possible, shown
from mario_envkit.errors import HotspotError
from mario_envkit.files import parse_json, replace_text

FORMAT_VERSION = 1
BUCKET_SIZE = 25
"""Pixels of a bucket."""

RESTORE_DISTANCE = 50
"""Pixels of run-up before the stretch that one is to practise."""


class DeathHotspotAggregate:
    """Deaths per level and bucket of x; says where to save and from where to practise.

    x is counted from the left end of the area Mario is in, as in ``info["x_pos"]``. The file is
    ``{"version": 1, "bucket_size": 25, "levels": {"1-1": {"500": 47, ...}}}``: deaths by the left
    end of their bucket. Where the area of deaths was told, ``"areas": {"1-1": {"49330": {"500":
    3}}}`` says it of so many of them, by the area as in ``info["area"]``: x begins anew in each.

    Args:
        bucket_size: pixels of a bucket.
        path: where :meth:`save` writes when it is given no path.

    Raises:
        OptionError: for arguments that are not possible; so in all methods.
    """

    def __init__(self, bucket_size: int = BUCKET_SIZE, path: Path | None = None) -> None:
        self.bucket_size = as_int("bucket_size", bucket_size, least=1, what="pixels")
        self.path = None if path is None else as_file("path", path)
        self.dirty = False
        """Whether there are deaths that no :meth:`save` has written."""
        self._levels: dict[str, Counter[int]] = {}
        self._areas: dict[str, dict[int, Counter[int]]] = {}

    # -- recording ---------------------------------------------------------------------------

    def record_death(self, level_id: str, x_pos: int, area: int | None = None) -> None:
        """Count a death at ``x_pos`` pixels in level ``level_id`` ("1-1"), in ``area`` if given."""
        level_id, bucket = _level_id(level_id), self._bucket(x_pos)
        if area is not None:
            self._add_in_area(level_id, as_int("area", area), bucket, 1)
        self._add(level_id, bucket, 1)

    def record_deaths_batch(self, level_id: str, positions: Iterable[int]) -> None:
        """Count a death at each of ``positions``."""
        several = tuple(positions) if isinstance(positions, Iterator) else positions
        for bucket in [self._bucket(x) for x in as_sequence("positions", several, "a list")]:
            self._add(_level_id(level_id), bucket, 1)

    def merge(self, *others: DeathHotspotAggregate) -> None:
        """Add the deaths of other aggregates, for instance those of all workers.

        Raises:
            HotspotError: if their buckets have another size; nothing is added then.
        """
        for other in others:
            if not isinstance(other, DeathHotspotAggregate):
                raise not_possible("others", other, "DeathHotspotAggregates")
            if other.bucket_size != self.bucket_size:
                raise HotspotError(
                    f"Deaths in buckets of {other.bucket_size} px cannot be added to buckets of "
                    f"{self.bucket_size} px; record them with the same bucket_size."
                )
        for other in others:
            for level_id, buckets in other._levels.items():
                for bucket, deaths in buckets.items():
                    self._add(level_id, bucket, deaths)
            for level_id, areas in other._areas.items():
                for area, buckets in areas.items():
                    for bucket, deaths in buckets.items():
                        self._add_in_area(level_id, area, bucket, deaths)

    # -- asking ------------------------------------------------------------------------------

    @property
    def levels(self) -> tuple[str, ...]:
        """Levels with deaths, in order."""
        return tuple(sorted(self._levels))

    def deaths(self, level_id: str) -> int:
        """All deaths of a level."""
        return sum(self._levels.get(_level_id(level_id), {}).values())

    def get_hotspots(self, level_id: str, min_deaths: int = 3) -> list[tuple[int, int]]:
        """``(left end of the bucket, deaths)`` of buckets with ``min_deaths`` or more.

        The deadliest first; of two alike the one further left.
        """
        least = as_int("min_deaths", min_deaths)
        return _deadliest(self._levels.get(_level_id(level_id), Counter()), least)

    def in_area(self, level_id: str, area: int, min_deaths: int = 1) -> list[tuple[int, int]]:
        """:meth:`get_hotspots` without the deaths that are known to have been in other areas."""
        buckets = Counter(self._levels.get(_level_id(level_id), Counter()))
        area, min_deaths = as_int("area", area), as_int("min_deaths", min_deaths)
        for other, deaths in self._areas.get(level_id, {}).items():
            if other != area:
                buckets.subtract(deaths)
        return _deadliest(buckets, max(min_deaths, 1))

    def spaced_hotspots(
        self, level_id: str, count: int, min_spacing: int = 100, min_deaths: int = 3
    ) -> list[int]:
        """The ``count`` deadliest hotspots that are ``min_spacing`` px apart, from left to right.

        Of two that are closer only the deadlier one counts: practising it passes the other.
        """
        count, min_spacing = as_int("count", count), as_int("min_spacing", min_spacing)
        chosen: list[int] = []
        for x, _ in self.get_hotspots(level_id, min_deaths):
            if len(chosen) == count:
                break
            if all(abs(x - other) >= min_spacing for other in chosen):
                chosen.append(x)
        return sorted(chosen)

    def suggest_snapshot_positions(
        self, level_id: str, count: int = 3, min_spacing: int = 100, min_deaths: int = 3
    ) -> list[int]:
        """Where to save at the latest: one bucket before each of the spaced hotspots."""
        hotspots = self.spaced_hotspots(level_id, count, min_spacing, min_deaths)
        return [max(0, x - self.bucket_size) for x in hotspots]

    def suggest_restore_position(self, level_id: str, death_x: int, min_deaths: int = 3) -> int:
        """From where to practise after a death at ``death_x``.

        Neighbouring hotspots are one dangerous stretch; the position is 50 px before the stretch
        that the death lies in begins, or before the death's own bucket where nothing is known.
        """
        buckets = self._levels.get(_level_id(level_id), Counter())
        start, min_deaths = self._bucket(death_x), as_int("min_deaths", min_deaths)
        while start > 0 and buckets.get(start - self.bucket_size, 0) >= min_deaths:
            start -= self.bucket_size
        return max(0, start - RESTORE_DISTANCE)

    # -- files -------------------------------------------------------------------------------

    @classmethod
    def load_or_create(cls, path: Path, bucket_size: int = BUCKET_SIZE) -> DeathHotspotAggregate:
        """Read ``path``, or begin an empty aggregate that will be saved there.

        Raises:
            HotspotError: if the file is there but is not one of ours, or cannot be read; it is
                left alone.
        """
        path = as_file("path", path)
        aggregate = cls(bucket_size, path)
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return aggregate
        except (OSError, UnicodeDecodeError) as error:
            raise HotspotError(f"The hotspot file {path} cannot be read: {error}.") from error
        aggregate._levels, aggregate._areas = _parse(text, path, bucket_size)
        return aggregate

    def save(self, path: Path | None = None) -> None:
        """Write the file; readers see the old one or the new one, never half of it.

        Raises:
            HotspotError: if there is no path, or it cannot be written.
        """
        target = as_file("path", path) if path is not None else self.path
        if target is None:
            raise HotspotError("These hotspots have no file; call save(path).")
        levels = {
            level_id: {str(x): buckets[x] for x in sorted(buckets)}
            for level_id, buckets in sorted(self._levels.items())
        }
        content: dict[str, Any] = {"version": FORMAT_VERSION, "bucket_size": self.bucket_size}
        content["levels"] = levels
        if self._areas:
            content["areas"] = {
                level_id: {
                    str(area): {str(x): buckets[x] for x in sorted(buckets)}
                    for area, buckets in sorted(areas.items())
                }
                for level_id, areas in sorted(self._areas.items())
            }
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            replace_text(target, json.dumps(content, indent=1) + "\n")
        except OSError as error:
            raise HotspotError(
                f"The hotspot file {target} cannot be written: {error.strerror}; give a path in a "
                "directory that is writable."
            ) from error
        if target == self.path or self.path is None:
            self.dirty = False

    def save_if_dirty(self) -> bool:
        """:meth:`save` if there is something new; whether there was."""
        if not self.dirty:
            return False
        self.save()
        return True

    # -- inside ------------------------------------------------------------------------------

    def _bucket(self, x_pos: int) -> int:
        x = as_int("x_pos", x_pos, least=-MOST)
        return x // self.bucket_size * self.bucket_size

    def _add(self, level_id: str, bucket: int, deaths: int) -> None:
        self._levels.setdefault(level_id, Counter())[bucket] += deaths
        self.dirty = True

    def _add_in_area(self, level_id: str, area: int, bucket: int, deaths: int) -> None:
        areas = self._areas.setdefault(level_id, {})
        areas.setdefault(area, Counter())[bucket] += deaths


def _level_id(level_id: Any) -> str:
    return as_text("level_id", level_id, "a level such as '1-1'")


def _deadliest(buckets: Counter[int], min_deaths: int) -> list[tuple[int, int]]:
    found = [(x, deaths) for x, deaths in buckets.items() if deaths >= min_deaths]
    return sorted(found, key=lambda hotspot: (-hotspot[1], hotspot[0]))


def _parse(
    text: str, path: Path, bucket_size: int
) -> tuple[dict[str, Counter[int]], dict[str, dict[int, Counter[int]]]]:
    """The levels in a hotspot file's text, and their areas."""
    try:
        content = parse_json(text)
    except ValueError as error:
        raise HotspotError(
            f"The hotspot file {path} is not JSON ({error}); move it away, or write it again from "
            "the run that made it."
        ) from error
    if not isinstance(content, dict) or content.get("version") != FORMAT_VERSION:
        raise HotspotError(
            f"The hotspot file {path} is not of format {FORMAT_VERSION}, the one this version "
            "reads; move it away."
        )
    if content.get("bucket_size") != bucket_size:
        raise HotspotError(
            f"The hotspot file {path} has buckets of {shown(content.get('bucket_size'))} px and "
            f"{bucket_size} px are wanted; open it with its own bucket_size."
        )
    try:
        levels = {
            str(level_id): Counter(_counts(buckets, bucket_size))
            for level_id, buckets in content["levels"].items()
        }
        areas = {
            str(level_id): {
                int(area): Counter(_counts(buckets, bucket_size)) for area, buckets in found.items()
            }
            for level_id, found in content.get("areas", {}).items()
        }
        return levels, areas
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise HotspotError(
            f"The hotspot file {path} is damaged: under 'levels' it must have counts of deaths by "
            f"the left end of their bucket ({error}); move it away."
        ) from error


def _counts(buckets: Any, bucket_size: int) -> dict[int, int]:
    counts = {}
    for x, deaths in buckets.items():
        if type(deaths) is not int or deaths < 0 or int(x) % bucket_size:
            raise ValueError(f"{x!r}: {deaths!r}")
        counts[int(x)] = deaths
    return counts
