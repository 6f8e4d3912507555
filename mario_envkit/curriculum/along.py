"""Episodes that begin anywhere along runs that reach the flag."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mario_envkit.arguments import as_float, as_int, as_sequence
from mario_envkit.curriculum.backward import SPACING, require_level, starts_along
from mario_envkit.curriculum.runs import Run, load_run
from mario_envkit.curriculum.start_states import MAX_JITTER, Start, as_jitter, draw_jitter
from mario_envkit.env import MarioEnv
from mario_envkit.errors import OptionError
from mario_envkit.game.levels import Level
from mario_envkit.game.start import StartPoint

if TYPE_CHECKING:
    from mario_envkit.snapshots.entry import ArchivedSnapshot


class StartsAlong:
    """Starts along runs of one level or of many, each as likely: a ``StartStates``.

    Every part of a level is practised from the first episode on, and as often as any other; the
    backward algorithm (:mod:`mario_envkit.curriculum.backward`) practises one part after another.
    So from most starts the flag is out of reach at first: the reward has to pay on the way to it,
    as :class:`~mario_envkit.game.path_progress.PathProgress` does. Peng et al. 2018, "DeepMimic",
    begin along a demonstration in the same manner ("reference state initialization").

    In levels without a run episodes begin truly. Several environments may share one.

    Args:
        runs: :class:`~mario_envkit.curriculum.runs.Run` objects, or files of them; at least one.
        jitter: the most random actions taken first.
        spacing: frames between two starts.
        true_starts: share of episodes that begin at the start of the level; level schedules hear of
            no others.

    Raises:
        ReplayError: if a file is not a run.
        OptionError: for options that make no sense.
    """

    def __init__(
        self,
        runs: Sequence[Run | str | os.PathLike[str]],
        *,
        jitter: int = MAX_JITTER,
        spacing: int = SPACING,
        true_starts: float = 0.0,
    ) -> None:
        given = as_sequence("runs", runs, "a list of runs, or of their files")
        if not given:
            raise OptionError("runs=[] leaves nothing to follow; give at least one run.")
        self.jitter = as_jitter(jitter)
        self.spacing = as_int("spacing", spacing, least=1, what="frames")
        self.true_starts = as_float("true_starts", true_starts, least=0, most=1)
        self.runs = tuple(map(load_run, given))
        self._points: dict[Level, list[StartPoint]] = {}

    def attach(self, game: MarioEnv) -> None:
        """Play the runs on another game like ``game`` to find their starts; the first time only.

        Raises:
            OptionError: if the game never plays the level of a run.
            ReplayError: if a run is of another cartridge, or does not go as recorded there.
            SnapshotMismatch: if the starts were found on another console.
        """
        for run in self.runs:
            require_level(run, game)
        if not self._points:
            found: dict[Level, list[StartPoint]] = {}
            for run in self.runs:
                found.setdefault(run.level, []).extend(starts_along(run, game, self.spacing))
            self._points = found
        for points in self._points.values():
            points[0].console.require(game.emulator.core, game.emulator.rom_sha256)

    def choose(
        self, level: Level | None, archived: Sequence[ArchivedSnapshot], rng: np.random.Generator
    ) -> Start | None:
        """See :class:`~mario_envkit.curriculum.start_states.StartStates`."""
        points = None if level is None else self._points.get(level)
        if not points or (self.true_starts and rng.random() < self.true_starts):
            return None
        return Start(points[int(rng.random() * len(points))], draw_jitter(rng, self.jitter))

    def record(self, start: Start, success: bool) -> None:
        """Nothing: outcomes change nothing."""

    def forget(self) -> None:
        """Nothing is remembered here."""
