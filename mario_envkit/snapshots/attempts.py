"""What attempts led to: figures of levels, and the outcomes of starts and archived snapshots."""

from __future__ import annotations

from typing import Any, NamedTuple

from mario_envkit.curriculum.level_stats import LevelStats
from mario_envkit.curriculum.start_states import Start, StartStates
from mario_envkit.snapshots.archive import SnapshotArchive
from mario_envkit.snapshots.entry import ArchivedSnapshot


class Position(NamedTuple):
    """Where Mario is, and when.

    Attributes:
        level: such as "1-1".
        area: of the level.
        x_pos: pixels from the left end of the area.
        tick: frames since the level began.
    """

    level: str
    area: int
    x_pos: int
    tick: int

    @classmethod
    def of(cls, info: dict[str, Any]) -> Position:
        """The one that an info tells."""
        return cls(info["level"], info["area"], info["x_pos"], info["frame"])


class AttemptTracker:
    """Follows an episode, and records what came of each attempt in it.

    An attempt begins with the episode, and again where a snapshot is restored (practice of that
    snapshot); it ends with a death, the end of the episode or, from a true start, of a stage.

    Args:
        archive: hears what came of practising its snapshots.
        starts: hears what came of the starts that it chose.

    Attributes:
        level_stats: :class:`LevelStats` by level, of true starts.
        position: of Mario, after the last step.
        progress: pixels of new ground in this episode, over all areas.
        flag_seen: whether the flag of the stage that is played was reached.
    """

    NOT_REMEMBERED = ("_archive", "_starts")

    def __init__(self, archive: SnapshotArchive, starts: StartStates | None) -> None:
        self._archive, self._starts = archive, starts
        self.level_stats: dict[str, LevelStats] = {}
        self._start: Start | None = None

    def begin(self, position: Position, start: Start | None, *, true_start: bool) -> None:
        """An episode begins at ``start``; None is a true start, or one that nobody chose."""
        self._start = start
        self.position = position
        self._best = {position[:2]: position.x_pos}
        self.progress = 0
        self.flag_seen = False
        self._true_start = true_start and start is None
        self._attempt_x = position.x_pos
        self._practising: ArchivedSnapshot | None = None

    def restore(self, entry: ArchivedSnapshot) -> None:
        """Practice of a snapshot begins, which was restored."""
        self._practising = entry
        self.position = Position(entry.place.level, entry.place.area, entry.x_pos, entry.tick)
        self.flag_seen = bool(entry.info["flag_get"])
        self._best.setdefault(self.position[:2], entry.x_pos)

    @property
    def has_start(self) -> bool:
        """Whether the outcome of a start that :meth:`begin` was told of is still open."""
        return self._start is not None

    def forget_start(self) -> None:
        """Nothing is to come of the episode's start."""
        self._start = None

    # -- steps -------------------------------------------------------------------------------

    def go(self, position: Position, furthest: int) -> None:
        """Steps within a stage led to ``position``; ``furthest`` was the greatest x on the way."""
        self.position = position
        self._attempt_x = max(self._attempt_x, furthest)
        best = self._best.setdefault(position[:2], furthest)
        if furthest > best:
            self.progress += furthest - best
            self._best[position[:2]] = furthest

    def enter_stage(self, position: Position, *, full_game: bool) -> bool:
        """A step led to another stage, in the full game or by a warp.

        Returns:
            Whether ``position`` is in that stage. If not, as where a warp is taken, nothing but the
            stage's number is that of the next one yet.
        """
        before = self.position
        settled = self.flag_seen or position.area != before.area
        if not settled:
            self._attempt_x = max(self._attempt_x, position.x_pos)
            position = position._replace(x_pos=0, tick=0)
        stats = self._stats(before.level)
        if not self.flag_seen:
            stats.record_warp()
        if self._true_start:
            stats.record_attempt(
                completed=self.flag_seen, best_x=self._attempt_x, frames=before.tick
            )
        # With a single stage to play, what comes after a warp is no start of anything.
        self._true_start &= full_game
        self.flag_seen = False
        self.go(position, position.x_pos)
        self._attempt_x = position.x_pos
        return settled

    def record_death(self) -> None:
        """Mario died in the level where he is; :meth:`end` follows."""
        self._stats(self.position.level).record_death()

    # -- outcomes ----------------------------------------------------------------------------

    def end(self, *, completed: bool, progressed: bool) -> None:
        """The attempt is over: it reached the flag, or new ground, or nothing."""
        self.end_start(completed=completed)
        if self._true_start:
            self._stats(self.position.level).record_attempt(
                completed=completed,
                best_x=max(self._attempt_x, self.position.x_pos),
                frames=self.position.tick,
            )
            self._true_start = False
        if self._practising is not None:
            self._archive.record(self._practising, success=completed or progressed)
            self._practising = None

    def end_start(self, *, completed: bool) -> None:
        """What came of the start that was chosen, if it is open."""
        start, self._start = self._start, None
        if start is None:
            return
        success = completed or (start.reach is not None and self.progress >= start.reach)
        if self._starts is not None:
            self._starts.record(start, success)
        if isinstance(start.origin, ArchivedSnapshot):
            self._archive.record(start.origin, success=success)

    def _stats(self, level: str) -> LevelStats:
        return self.level_stats.setdefault(level, LevelStats())
