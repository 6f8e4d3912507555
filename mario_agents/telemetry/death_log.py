"""Counts where Mario died, for ``death_hotspots.json``; only the main process has one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import zip_longest
from pathlib import Path

from mario_agents.run.storage import Deferrable
from mario_envkit.curriculum.hotspots import DeathHotspotAggregate

SAVE_SECONDS = 60.0


class DeathLog:
    """The only writer of a run's ``death_hotspots.json``; goes on from the one that is there.

    Each death is counted once, when it is recorded. What a killed process had recorded since it
    last saved is lost, and nothing is counted twice.

    Args:
        path: the file.
        interval: seconds between two saves.
        clock: seconds.

    Raises:
        HotspotError: if the file is damaged.
    """

    def __init__(
        self,
        path: Path,
        *,
        interval: float = SAVE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.hotspots = DeathHotspotAggregate.load_or_create(path)
        self._interval, self._clock = interval, clock
        self._next = clock() + interval
        self._state = Deferrable(path.name)

    def record(self, level: str, positions: Sequence[int], areas: Sequence[int] = ()) -> None:
        """Count deaths at ``positions``, in pixels, in ``areas`` as far as they are known."""
        for x_pos, area in zip_longest(positions, areas[: len(positions)], fillvalue=-1):
            self.hotspots.record_death(level, x_pos, None if area < 0 else area)

    def tick(self) -> None:
        """Save if it is time to and there is something new; call it often.

        A disk that refuses is told of in the log, once, and tried again at the next interval.
        """
        if self._clock() < self._next:
            return
        self._next = self._clock() + self._interval
        self._state.attempt(self.hotspots.save_if_dirty)

    def close(self) -> None:
        """Save what is new.

        Raises:
            HotspotError: if the file cannot be written.
        """
        self.hotspots.save_if_dirty()
