"""The backward algorithm along several runs, of one level or of many."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mario_envkit.arguments import as_sequence
from mario_envkit.curriculum.backward import BackwardStarts
from mario_envkit.curriculum.runs import Run
from mario_envkit.curriculum.start_states import Start
from mario_envkit.env import MarioEnv
from mario_envkit.errors import ConfigError, OptionError
from mario_envkit.game.levels import Level

if TYPE_CHECKING:
    from mario_envkit.snapshots.entry import ArchivedSnapshot


class BackwardRuns:
    """Starts along several runs, each with a position of its own: a ``StartStates``.

    An episode begins along one of the runs of its level, each as likely: so games are spread over
    them, and what is learned does not hang on the luck of one way. Along a run that has been
    followed back to its beginning, and in levels without a run, episodes begin truly. Several
    environments may share one.

    Args:
        runs: :class:`~mario_envkit.curriculum.runs.Run` objects, or files of them; at least one.
        options: of :class:`~mario_envkit.curriculum.backward.BackwardStarts`, for each of them.

    Attributes:
        ways: the starts along each run.

    Raises:
        ReplayError: if a file is not a run.
        OptionError: for options that make no sense.
    """

    def __init__(self, runs: Sequence[Run | str | os.PathLike[str]], **options: Any) -> None:
        given = as_sequence("runs", runs, "a list of runs, or of their files")
        if not given:
            raise OptionError("runs=[] leaves nothing to follow; give at least one run.")
        self.ways = tuple(BackwardStarts(run, **options) for run in given)

    @property
    def done(self) -> bool:
        """Whether it has arrived at the true start along every run."""
        return all(way.done for way in self.ways)

    @property
    def progress(self) -> float:
        """How far it has come back on average: 0 at the flags, 1 at the true starts."""
        return sum(way.progress for way in self.ways) / len(self.ways)

    def attach(self, game: MarioEnv) -> None:
        """Find the starts along each run, see :meth:`BackwardStarts.attach`.

        Raises:
            OptionError, ReplayError, SnapshotMismatch: as there.
        """
        for way in self.ways:
            way.attach(game)

    def choose(
        self, level: Level | None, archived: Sequence[ArchivedSnapshot], rng: np.random.Generator
    ) -> Start | None:
        """See :class:`~mario_envkit.curriculum.start_states.StartStates`; takes one
        ``rng.random()`` more where a level has several runs."""
        ways = [way for way in self.ways if way.run.level == level]
        if not ways:
            return None
        chosen = int(rng.random() * len(ways)) if len(ways) > 1 else 0
        return ways[chosen].choose(level, archived, rng)

    def record(self, start: Start, success: bool) -> None:
        """Count an outcome along the run that the start is of."""
        for way in self.ways:
            way.record(start, success)

    def forget(self) -> None:
        """Go back to the state that it was made or last restored with."""
        for way in self.ways:
            way.forget()

    def state(self) -> dict[str, Any]:
        """How far it is along each run, for JSON."""
        return {"runs": [way.state() for way in self.ways]}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state`; nothing changes if that is not possible.

        Raises:
            ConfigError: if it is not such a state, or one of other runs.
        """
        before = self.state()
        try:
            for way, known in zip(self.ways, state["runs"], strict=True):
                way.restore(known)
        except (ConfigError, KeyError, TypeError, ValueError):
            for way, known in zip(self.ways, before["runs"], strict=True):
                way.restore(known)
            raise ConfigError(
                f"{state!r:.200} is not the state of a backward curriculum along {len(self.ways)} "
                "runs; give what state() returned for the same runs in the same order."
            ) from None
