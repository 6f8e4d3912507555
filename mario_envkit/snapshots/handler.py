"""Runs the state machine over an environment and an archive."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from numpy.typing import NDArray

from mario_envkit.curriculum.hotspot_file import SharedHotspots
from mario_envkit.curriculum.level_stats import LevelStats
from mario_envkit.curriculum.start_states import Start, StartStates
from mario_envkit.errors import OptionError, SnapshotMismatch
from mario_envkit.game.endings import clears_stage
from mario_envkit.snapshots.archive import SnapshotArchive
from mario_envkit.snapshots.context import Restorable
from mario_envkit.snapshots.entry import ArchivedSnapshot, Place
from mario_envkit.snapshots.state_machine import (
    QuietStretch,
    SnapshotAction,
    SnapshotContext,
    SnapshotRules,
    SnapshotState,
    SnapshotStateMachine,
)

_SETTLED = (SnapshotState.RUNNING, SnapshotState.APPROACHING_HOTSPOT)
_MAX_HOTSPOTS = 32
"""A level is at most some 3,800 px long: enough for one in every 120 px."""


class Outcome(Enum):
    """How it goes on after a step."""

    GO_ON = "go_on"
    RESTORE = "restore"
    GIVE_UP = "give_up"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a step led to.

    Attributes:
        saved: a snapshot was taken: for this episode, and for the archive if it wants it.
        outcome: how it goes on; RESTORE asks for :meth:`SnapshotHandler.restore`.
    """

    saved: bool
    outcome: Outcome


_NOTHING_DUE = Verdict(False, Outcome.GO_ON)


class _Where(NamedTuple):
    level: str
    area: int
    x_pos: int
    tick: int


class SnapshotHandler:
    """Decides and does: saves, restores, and keeps the books.

    Call :meth:`begin` after every start, :meth:`after_step` after every step, and
    :meth:`restore` when that says so. A step that ends the episode in any other way is followed by
    :meth:`begin`. Steps within a :meth:`quiet_stretch` may be left out, if :meth:`catch_up` makes
    up for them before the next call.

    Args:
        context: what is saved and restored, a :class:`Context` for instance.
        archive: where snapshots go.
        hotspots: where Mario dies.
        rules: when to save, restore and give up.
        restore_noise: let a restore bring back the environment's random generator as well.
        starts: hears what came of the starts that :meth:`begin` is told of.

    Attributes:
        observation_space: what the environment's observations are like.
        total_saves, total_restores, total_give_ups: since construction.
        level_stats: :class:`LevelStats` by level, of true starts.

    Raises:
        OptionError: if its observations are not arrays.
        SnapshotMismatch: if the archive is of another game, core or kind of environment.
    """

    def __init__(
        self,
        context: Restorable,
        archive: SnapshotArchive,
        hotspots: SharedHotspots,
        rules: SnapshotRules | None = None,
        *,
        restore_noise: bool = True,
        starts: StartStates | None = None,
    ) -> None:
        space = context.observation_space
        if not isinstance(space, gymnasium.spaces.Box):
            raise OptionError(
                f"Snapshots need observations that are arrays, not {space}; put "
                "the wrapper that changes them around the snapshots."
            )
        self.archive = archive
        self.hotspots = hotspots
        self.machine = SnapshotStateMachine(rules)
        self.total_saves = self.total_restores = self.total_give_ups = 0
        self.level_stats: dict[str, LevelStats] = {}
        self._context = context
        self.observation_space = space
        self._restore_noise = restore_noise
        self._starts = starts
        self._start: Start | None = None
        for entry in archive:
            self._check_fits(entry)

    # -- the calls ---------------------------------------------------------------------------

    def begin(
        self, info: dict[str, Any], start: Start | None = None, *, true_start: bool = True
    ) -> None:
        """An episode begins: the info is that of its first observation.

        Args:
            info: of the environment.
            start: where ``starts`` wanted it to begin, if not at its true start.
            true_start: False if it begins elsewhere without that.
        """
        self._start = start
        self.machine.reset()
        self.hotspots.refresh()
        self._where = _Where(info["level"], info["area"], info["x_pos"], info["frame"])
        self._best = {self._where[:2]: self._where.x_pos}
        self._progress = 0
        self._last_save_tick = self._where.tick
        self._flag_seen = False  # of the stage that is played
        self._true_start = true_start and start is None
        self._attempt_x = self._where.x_pos
        self._covered: set[tuple[str, int, int]] = set()
        self._practising: ArchivedSnapshot | None = None
        self._chosen: ArchivedSnapshot | None = None
        self._own: dict[Place, ArchivedSnapshot] = {}  # of this episode and level
        self._stretch: QuietStretch | None = None  # the one that holds, once it was asked for
        self._aim()

    def after_step(
        self,
        observation: NDArray[Any],
        info: dict[str, Any],
        *,
        terminated: bool,
        truncated: bool,
    ) -> Verdict:
        """Save if it is time to; after a death decide how it goes on."""
        if info["died"]:
            return self._after_death(info, terminated=terminated, truncated=truncated)
        settled = self._track(info)
        if terminated or truncated:
            self._close_books(completed=clears_stage(self._flag_seen, info["ending"]))
        if terminated or truncated or not settled:
            return _NOTHING_DUE
        if self.quiet_stretch().holds(self._where.x_pos, self._where.tick):
            return _NOTHING_DUE
        self._stretch = None
        saved = False
        while True:
            state, action = self.machine.advance(self._describe())
            if action is SnapshotAction.SAVE:
                self._save(observation, info)
                saved = True
            if state in _SETTLED:
                return Verdict(saved, Outcome.GO_ON)
            if action is SnapshotAction.END_EPISODE:  # it was over already
                return Verdict(False, Outcome.GIVE_UP)

    def restore(self) -> tuple[NDArray[Any], dict[str, Any]]:
        """Go back to the snapshot that was chosen; what its step had returned.

        Raises:
            SnapshotMismatch: if it belongs to another game or another kind of environment.
        """
        entry = self._chosen
        if entry is None or self.machine.state is not SnapshotState.RESTORING:
            raise OptionError(
                "There is nothing to restore: call restore() after a step whose outcome is RESTORE."
            )
        self._check_fits(entry)
        self._context.load(entry.saved, noise=self._restore_noise)
        self.total_restores += 1
        self._practising, self._chosen = entry, None
        self._where = _Where(entry.place.level, entry.place.area, entry.x_pos, entry.tick)
        self._flag_seen = bool(entry.info["flag_get"])
        self._last_save_tick = entry.tick
        self._best.setdefault(self._where[:2], entry.x_pos)
        self._aim()
        self.machine.advance(self._describe())
        self._stretch = None
        return entry.observation.copy(), _copied(entry.info)

    @property
    def has_start(self) -> bool:
        """Whether the outcome of a start that :meth:`begin` was told of is still open."""
        return self._start is not None

    def leave(self) -> None:
        """The episode is left, if it is not over: what did its start lead to until now?"""
        self._close_start(completed=False)

    def forget(self) -> None:
        """Forget the episode: nothing is to come of its start."""
        self._start = None

    def begun_at(self, entry: ArchivedSnapshot) -> None:
        """Check that an episode can begin at ``entry``, and count it as a restore.

        Raises:
            SnapshotMismatch: if it belongs to another game or another kind of environment.
        """
        self._check_fits(entry)
        self.total_restores += 1

    def quiet_stretch(self) -> QuietStretch:
        """Where, in this area of this level, :meth:`after_step` would only keep the books.

        It holds until the next call of anything but :meth:`catch_up`.
        """
        if self._stretch is None:
            place = self._where[:2]
            hotspots = [x for x in self._hotspots if (*place, x) not in self._covered]
            self._stretch = self.machine.quiet_stretch(
                self._where.x_pos, self._last_save_tick, hotspots
            )
        return self._stretch

    def catch_up(self, x_pos: int, tick: int, furthest: int) -> None:
        """Keep the books of all the steps of a quiet stretch that were left out, at once.

        Args:
            x_pos: where the last of them led.
            tick: frames since the level began, after the last of them.
            furthest: the greatest x after any of them.
        """
        self._go(self._where._replace(x_pos=x_pos, tick=tick), furthest)
        self._attempt_x = max(self._attempt_x, furthest)

    # -- inside ------------------------------------------------------------------------------

    def _go(self, where: _Where, furthest: int) -> None:
        self._where = where
        best = self._best.setdefault(where[:2], furthest)
        if furthest > best:
            self._progress += furthest - best
            self._best[where[:2]] = furthest

    def _after_death(self, info: dict[str, Any], *, terminated: bool, truncated: bool) -> Verdict:
        self._stretch = None
        if terminated:
            # Else the game went on to the next life, and this info is about that already.
            self._where = _Where(info["level"], info["area"], info["x_pos"], info["frame"])
        level, area, x_pos, _ = self._where
        self.hotspots.record_death(level, x_pos, area)
        self._stats(level).record_death()
        self._close_books(completed=False)
        if truncated:
            return _NOTHING_DUE
        self._chosen = self._choose()
        context = self._describe(died=True, by_clock=info["death_cause"] == "clock")
        while True:
            _, action = self.machine.advance(context)
            if action is SnapshotAction.RESTORE:
                return Verdict(False, Outcome.RESTORE)
            if action is SnapshotAction.END_EPISODE:
                self.total_give_ups += 1
                return Verdict(False, Outcome.GIVE_UP)

    def _choose(self) -> ArchivedSnapshot | None:
        level, area, x_pos, tick = self._where
        suggested = self.hotspots.aggregate.suggest_restore_position(level, x_pos)
        return self.archive.choose(level, area, x_pos, suggested, tick, self._own.values())

    def _save(self, observation: NDArray[Any], info: dict[str, Any]) -> None:
        target = self._next_hotspot()
        if target is not None:
            self._covered.add((*self._where[:2], target))
        self._last_save_tick = self._where.tick
        place = Place.of(info, self._context.ram)
        saved = self._context.save()
        entry = ArchivedSnapshot(place, saved, np.array(observation), _copied(info))
        self._own[place] = entry
        self.archive.add(entry)
        self.total_saves += 1

    def _track(self, info: dict[str, Any]) -> bool:
        """Keep the books of a step that Mario survived; whether its info is all of one stage."""
        where = _Where(info["level"], info["area"], info["x_pos"], info["frame"])
        if info["flag_get"]:
            self._flag_seen = True
        if where.level != self._where.level:
            return self._enter_stage(where)
        if where.area != self._where.area:
            self._stretch = None
        self._go(where, where.x_pos)
        self._attempt_x = max(self._attempt_x, where.x_pos)
        return True

    def _enter_stage(self, where: _Where) -> bool:
        """Another stage begins: in the full game, or by a warp; see :meth:`_track`."""
        before = self._where
        # Where a warp is taken nothing but the stage's number is that of the next one yet.
        settled = self._flag_seen or where.area != before.area
        if not settled:
            self._attempt_x = max(self._attempt_x, where.x_pos)
            where = where._replace(x_pos=0, tick=0)
        self._leave_stage(before.level, before.tick)
        self._go(where, where.x_pos)
        self._attempt_x = where.x_pos
        self._last_save_tick = where.tick
        self._aim()
        return settled

    def _leave_stage(self, level: str, frames: int) -> None:
        """The books of the stage that was played until now."""
        if not self._flag_seen:
            self._stats(level).record_warp()
        if self._true_start:
            self._stats(level).record_attempt(
                completed=self._flag_seen, best_x=self._attempt_x, frames=frames
            )
        # With a single stage to play, what comes after a warp is no start of anything.
        self._true_start &= self._context.level is None
        self._flag_seen = False
        self._own.clear()

    def _close_books(self, *, completed: bool) -> None:
        """The outcome is known: of the attempt from the start, or of practice after a restore."""
        self._close_start(completed=completed)
        if self._true_start:
            self._stats(self._where.level).record_attempt(
                completed=completed,
                best_x=max(self._attempt_x, self._where.x_pos),
                frames=self._where.tick,
            )
            self._true_start = False
        if self._practising is not None:
            success = completed or self.machine.progressed(self._progress)
            self.archive.record(self._practising, success=success)
            self._practising = None

    def _close_start(self, *, completed: bool) -> None:
        start, self._start = self._start, None
        if start is None:
            return
        success = completed or (start.reach is not None and self._progress >= start.reach)
        if self._starts is not None:
            self._starts.record(start, success)
        if isinstance(start.origin, ArchivedSnapshot):
            self.archive.record(start.origin, success=success)

    def _stats(self, level: str) -> LevelStats:
        return self.level_stats.setdefault(level, LevelStats())

    def _aim(self) -> None:
        """Look up the hotspots of the level once more."""
        self._stretch = None
        self._hotspots = self.hotspots.aggregate.spaced_hotspots(self._where.level, _MAX_HOTSPOTS)

    def _next_hotspot(self) -> int | None:
        """The next one that there is still a point in saving for."""
        rules = self.machine.rules
        nearest = self._where.x_pos + rules.save_distance - rules.save_tolerance
        for x in self._hotspots:
            if x >= nearest and (*self._where[:2], x) not in self._covered:
                return x
        return None

    def _describe(self, *, died: bool = False, by_clock: bool = False) -> SnapshotContext:
        distance = None
        chosen = self._chosen
        if chosen is not None and chosen.place.area == self._where.area:
            distance = self._where.x_pos - chosen.x_pos
        return SnapshotContext(
            x_pos=self._where.x_pos,
            tick=self._where.tick,
            last_save_tick=self._last_save_tick,
            progress=self._progress,
            hotspot_x=self._next_hotspot() if self._hotspots else None,
            died=died,
            by_clock=by_clock,
            has_snapshot=chosen is not None,
            restore_distance=distance,
        )

    def _check_fits(self, entry: ArchivedSnapshot) -> None:
        """Check that a snapshot, which may come from elsewhere, is of an environment like ours."""
        self._context.check(entry.saved)
        theirs, ours = entry.observation, self.observation_space
        if theirs.shape != ours.shape or theirs.dtype != ours.dtype:
            raise SnapshotMismatch(
                f"The snapshot's observations are {theirs.shape} {theirs.dtype} and this "
                f"environment's are {ours.shape} {ours.dtype}; build it with the same arguments."
            )


_PLAIN = (int, float, bool, str, type(None))


def _copied(info: dict[str, Any]) -> dict[str, Any]:
    """``deepcopy`` in a fraction of its time, for what infos are made of."""
    return {
        key: value
        if type(value) in _PLAIN
        else _copied(value)
        if type(value) is dict
        else deepcopy(value)
        for key, value in info.items()
    }
