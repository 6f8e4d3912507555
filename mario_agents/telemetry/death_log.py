"""Counts where Mario died, for ``death_hotspots.json``; only the main process has one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from mario_agents.telemetry.periodic_file import PeriodicFile
from mario_envkit.curriculum.hotspots import DeathHotspotAggregate


class DeathLog(PeriodicFile):
    """The only writer of a run's ``death_hotspots.json``; goes on from the one that is there.

    Each death is counted once, when it is recorded. What a killed process had recorded since it
    last saved is lost, and nothing is counted twice.

    Args:
        path: the file.
        options: see :class:`~mario_agents.telemetry.periodic_file.PeriodicFile`.

    Raises:
        HotspotError: if the file is damaged.
    """

    def __init__(self, path: Path, **options: Any) -> None:
        super().__init__(path, **options)
        self.hotspots = DeathHotspotAggregate.load_or_create(path)

    def record(self, level: str, positions: Sequence[int], areas: Sequence[int] = ()) -> None:
        """Count deaths at ``positions``, in pixels, in ``areas`` as far as they are known."""
        for x_pos, area in zip_longest(positions, areas[: len(positions)], fillvalue=-1):
            self.hotspots.record_death(level, x_pos, None if area < 0 else area)

    def close(self) -> None:
        """Save what is new.

        Raises:
            HotspotError: if the file cannot be written.
        """
        self.hotspots.save_if_dirty()
