"""Runs the state machine over an environment and an archive."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from enum import Enum
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from mario_envkit.curriculum.hotspot_file import SharedHotspots
from mario_envkit.curriculum.start_states import Start, StartStates
from mario_envkit.errors import OptionError, SnapshotMismatch
from mario_envkit.game.endings import clears_stage
from mario_envkit.snapshots.archive import SnapshotArchive
from mario_envkit.snapshots.attempts import AttemptTracker, Position
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
        attempts: what came of attempts, figures of levels among it.

    Raises:
        OptionError: if its observations are not arrays.
        SnapshotMismatch: if the archive is of another game, core or kind of environment.
    """

    NOT_REMEMBERED = (
        "archive", "attempts", "hotspots", "observation_space", "_context", "_restore_noise",
    )  # fmt: skip

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
        self.attempts = AttemptTracker(archive, starts)
        self._context = context
        self.observation_space = space
        self._restore_noise = restore_noise
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
        self.machine.reset()
        self.hotspots.refresh()
        self.attempts.begin(Position.of(info), start, true_start=true_start)
        self._last_save_tick = self._now.tick
        self._covered: set[tuple[str, int, int]] = set()
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
            self._end(completed=clears_stage(self.attempts.flag_seen, info["ending"]))
        if terminated or truncated or not settled:
            return _NOTHING_DUE
        now = self.attempts.position
        if self.quiet_stretch().holds(now.x_pos, now.tick):
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
        self.attempts.restore(entry)
        self._chosen = None
        self._last_save_tick = entry.tick
        self._aim()
        self.machine.advance(self._describe())
        self._stretch = None
        return entry.observation.copy(), _copied(entry.info)

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
            place = self._now[:2]
            hotspots = [x for x in self._hotspots if (*place, x) not in self._covered]
            self._stretch = self.machine.quiet_stretch(
                self._now.x_pos, self._last_save_tick, hotspots
            )
        return self._stretch

    def catch_up(self, x_pos: int, tick: int, furthest: int) -> None:
        """Keep the books of all the steps of a quiet stretch that were left out, at once.

        Args:
            x_pos: where the last of them led.
            tick: frames since the level began, after the last of them.
            furthest: the greatest x after any of them.
        """
        self.attempts.go(self._now._replace(x_pos=x_pos, tick=tick), furthest)

    # -- inside ------------------------------------------------------------------------------

    @property
    def _now(self) -> Position:
        return self.attempts.position

    def _end(self, *, completed: bool) -> None:
        """The attempt is over."""
        progressed = self.machine.progressed(self.attempts.progress)
        self.attempts.end(completed=completed, progressed=progressed)

    def _after_death(self, info: dict[str, Any], *, terminated: bool, truncated: bool) -> Verdict:
        self._stretch = None
        if terminated:
            # Else the game went on to the next life, and this info is about that already.
            self.attempts.position = Position.of(info)
        self.hotspots.record_death(self._now.level, self._now.x_pos, self._now.area)
        self.attempts.record_death()
        self._end(completed=False)
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
        level, area, x_pos, tick = self._now
        suggested = self.hotspots.aggregate.suggest_restore_position(level, x_pos)
        return self.archive.choose(level, area, x_pos, suggested, tick, self._own.values())

    def _save(self, observation: NDArray[Any], info: dict[str, Any]) -> None:
        target = self._next_hotspot()
        if target is not None:
            self._covered.add((*self._now[:2], target))
        self._last_save_tick = self._now.tick
        place = Place.of(info, self._context.ram)
        saved = self._context.save()
        entry = ArchivedSnapshot(place, saved, np.array(observation), _copied(info))
        self._own[place] = entry
        self.archive.add(entry)
        self.total_saves += 1

    def _track(self, info: dict[str, Any]) -> bool:
        """Follow a step that Mario survived; whether its info is all of one stage."""
        attempts, now = self.attempts, Position.of(info)
        before = attempts.position
        if info["flag_get"]:
            attempts.flag_seen = True
        if now.level == before.level:
            if now.area != before.area:
                self._stretch = None
            attempts.go(now, now.x_pos)
            return True
        settled = attempts.enter_stage(now, full_game=self._context.level is None)
        self._own.clear()
        self._last_save_tick = self._now.tick
        self._aim()
        return settled

    def _aim(self) -> None:
        """Look up the hotspots of the level once more."""
        self._stretch = None
        self._hotspots = self.hotspots.aggregate.spaced_hotspots(self._now.level, _MAX_HOTSPOTS)

    def _next_hotspot(self) -> int | None:
        """The next one that there is still a point in saving for."""
        rules = self.machine.rules
        nearest = self._now.x_pos + rules.save_distance - rules.save_tolerance
        for x in self._hotspots:
            if x >= nearest and (*self._now[:2], x) not in self._covered:
                return x
        return None

    def _describe(self, *, died: bool = False, by_clock: bool = False) -> SnapshotContext:
        distance = None
        chosen = self._chosen
        if chosen is not None and chosen.place.area == self._now.area:
            distance = self._now.x_pos - chosen.x_pos
        return SnapshotContext(
            x_pos=self._now.x_pos,
            tick=self._now.tick,
            last_save_tick=self._last_save_tick,
            progress=self.attempts.progress,
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
