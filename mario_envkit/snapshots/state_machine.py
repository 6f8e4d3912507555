"""When to save, when to restore, when to give up: a pure table, without I/O and without a clock."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum

from mario_envkit.arguments import as_int
from mario_envkit.errors import OptionError


class SnapshotState(Enum):
    """The nine states; all but RUNNING, APPROACHING_HOTSPOT and GIVE_UP last no game time."""

    RUNNING = "running"
    APPROACHING_HOTSPOT = "approaching_hotspot"
    CHECKPOINT_DUE = "checkpoint_due"
    SAVE_SNAPSHOT = "save_snapshot"
    SNAPSHOT_SAVED = "snapshot_saved"
    DEAD = "dead"
    EVALUATE_RESTORE = "evaluate_restore"
    RESTORING = "restoring"
    GIVE_UP = "give_up"


class SnapshotAction(Enum):
    """What is to be done on entering a state."""

    NONE = "none"
    SAVE = "save"
    RESTORE = "restore"
    END_EPISODE = "end_episode"


class SnapshotEvent(Enum):
    """What a context means in a state."""

    NOTHING = "nothing"
    HOTSPOT_AHEAD = "hotspot_ahead"
    AT_SAVE_POINT = "at_save_point"
    CHECKPOINT = "checkpoint"
    DIED = "died"
    WORTHWHILE = "worthwhile"
    HOPELESS = "hopeless"


@dataclass(frozen=True, slots=True)
class SnapshotContext:
    """What the machine is told.

    Attributes:
        x_pos: pixels from the left end of the area.
        tick: frames since the level began, counting up.
        last_save_tick: ``tick`` at the last save, or at the beginning.
        progress: pixels of new ground so far, over all areas; never falls before a reset.
        hotspot_x: left end of the next hotspot for which nothing was saved yet; None for none.
        died: Mario died in this step.
        by_clock: because the time was up.
        has_snapshot: there is a snapshot that could be restored.
        restore_distance: how many pixels before the death it lies; None if in another area.
    """

    x_pos: int
    tick: int
    last_save_tick: int = 0
    progress: int = 0
    hotspot_x: int | None = None
    died: bool = False
    by_clock: bool = False
    has_snapshot: bool = False
    restore_distance: int | None = None


@dataclass(frozen=True, slots=True)
class SnapshotRules:
    """The numbers behind the decisions: pixels, frames (60 a second) and counts.

    Attributes:
        approach_distance: a hotspot this near is being approached.
        save_distance: where before a hotspot to save.
        save_tolerance: how far from there is still good.
        checkpoint_interval: frames without a save after which one is due.
        max_restores_without_progress: restores in a row that lead nowhere; 0 never restores.
        min_progress: pixels of new ground that are progress.
        min_restore_distance: a restore nearer to the death than this would not avoid it.

    Raises:
        OptionError: for numbers that make no sense.
    """

    approach_distance: int = 100
    save_distance: int = 50
    save_tolerance: int = 25
    checkpoint_interval: int = 500
    max_restores_without_progress: int = 3
    min_progress: int = 50
    min_restore_distance: int = 25

    def __post_init__(self) -> None:
        for field in fields(self):
            least = int(field.name in ("checkpoint_interval", "min_progress"))
            number = as_int(field.name, getattr(self, field.name), least=least)
            object.__setattr__(self, field.name, number)
        nearest, furthest = (
            self.save_distance - self.save_tolerance, self.save_distance + self.save_tolerance,
        )  # fmt: skip
        if not 0 <= nearest <= furthest <= self.approach_distance:
            raise OptionError(
                f"Saving {nearest} to {furthest} px before a hotspot that is approached from "
                f"{self.approach_distance} px on is not possible; the first must lie within the "
                "second."
            )


@dataclass(frozen=True, slots=True)
class QuietStretch:
    """Where the machine stays in its state and asks for nothing, as long as Mario lives.

    Attributes:
        first_x, last_x: both included; where no game gets to if there is no such stretch.
        due_tick: only while ``tick`` is less.
    """

    first_x: int
    last_x: int
    due_tick: int

    def holds(self, x_pos: int, tick: int) -> bool:
        """Whether it still does at ``x_pos`` in this frame of the level."""
        return self.first_x <= x_pos <= self.last_x and tick < self.due_tick


_FAR = 2**61  # no game gets there
_NO_STRETCH = QuietStretch(_FAR, _FAR, 0)

_S, _A, _E = SnapshotState, SnapshotAction, SnapshotEvent

TRANSITIONS: dict[tuple[SnapshotState, SnapshotEvent], tuple[SnapshotState, SnapshotAction]] = {
    (_S.RUNNING, _E.NOTHING): (_S.RUNNING, _A.NONE),
    (_S.RUNNING, _E.HOTSPOT_AHEAD): (_S.APPROACHING_HOTSPOT, _A.NONE),
    (_S.RUNNING, _E.CHECKPOINT): (_S.CHECKPOINT_DUE, _A.NONE),
    (_S.RUNNING, _E.DIED): (_S.DEAD, _A.NONE),
    (_S.APPROACHING_HOTSPOT, _E.NOTHING): (_S.RUNNING, _A.NONE),
    (_S.APPROACHING_HOTSPOT, _E.HOTSPOT_AHEAD): (_S.APPROACHING_HOTSPOT, _A.NONE),
    (_S.APPROACHING_HOTSPOT, _E.AT_SAVE_POINT): (_S.SAVE_SNAPSHOT, _A.SAVE),
    (_S.APPROACHING_HOTSPOT, _E.DIED): (_S.DEAD, _A.NONE),
    (_S.CHECKPOINT_DUE, _E.NOTHING): (_S.SAVE_SNAPSHOT, _A.SAVE),
    (_S.CHECKPOINT_DUE, _E.DIED): (_S.DEAD, _A.NONE),
    (_S.SAVE_SNAPSHOT, _E.NOTHING): (_S.SNAPSHOT_SAVED, _A.NONE),
    (_S.SNAPSHOT_SAVED, _E.NOTHING): (_S.RUNNING, _A.NONE),
    (_S.DEAD, _E.NOTHING): (_S.EVALUATE_RESTORE, _A.NONE),
    (_S.EVALUATE_RESTORE, _E.WORTHWHILE): (_S.RESTORING, _A.RESTORE),
    (_S.EVALUATE_RESTORE, _E.HOPELESS): (_S.GIVE_UP, _A.END_EPISODE),
    (_S.RESTORING, _E.NOTHING): (_S.RUNNING, _A.NONE),
    (_S.GIVE_UP, _E.NOTHING): (_S.GIVE_UP, _A.END_EPISODE),
}
"""From a state and an event to the next state, and what to do on entering it."""


def transition(state: SnapshotState, event: SnapshotEvent) -> tuple[SnapshotState, SnapshotAction]:
    """One step of the table.

    Raises:
        OptionError: for a pair that is not in it.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise OptionError(
            f"{event} cannot happen in {state}; see mario_envkit.snapshots.state_machine."
            "TRANSITIONS for what can."
        ) from None


class SnapshotStateMachine:
    """The table, where we are in it, and how many restores in a row led nowhere.

    Args:
        rules: the numbers; defaults as in :class:`SnapshotRules`.

    Attributes:
        state: where we are.
        restores_without_progress: restores since there last was progress.
    """

    def __init__(self, rules: SnapshotRules | None = None) -> None:
        self.rules = rules or SnapshotRules()
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self.state = SnapshotState.RUNNING
        self.restores_without_progress = 0
        self._mark = 0

    def advance(self, context: SnapshotContext) -> tuple[SnapshotState, SnapshotAction]:
        """The next state, and what is to be done now that it is entered."""
        if self.state is SnapshotState.DEAD and self.progressed(context.progress):
            self.restores_without_progress = 0
        self.state, action = transition(self.state, self._classify(context))
        if action is SnapshotAction.RESTORE:
            if self.restores_without_progress == 0:
                self._mark = context.progress
            self.restores_without_progress += 1
        return self.state, action

    def progressed(self, progress: int) -> bool:
        """Whether ``progress`` is new ground since the death that began these restores."""
        return progress - self._mark >= self.rules.min_progress

    def quiet_stretch(self, x_pos: int, last_save_tick: int, hotspots: list[int]) -> QuietStretch:
        """The stretch around ``x_pos`` in which :meth:`advance` would change nothing.

        Args:
            x_pos: pixels from the left end of the area.
            last_save_tick: see :class:`SnapshotContext`.
            hotspots: those of the area for which nothing was saved yet, from left to right;
                the context's ``hotspot_x`` is the first of them that can still be saved for.
        """
        rules = self.rules
        nearest = rules.save_distance - rules.save_tolerance
        furthest = rules.save_distance + rules.save_tolerance
        first, last = -_FAR, _FAR
        if self.state is _S.RUNNING:
            for x in hotspots:
                if x - nearest < x_pos:
                    first = x - nearest + 1
                elif x - rules.approach_distance > x_pos:
                    last = x - rules.approach_distance - 1
                    break
                else:
                    return _NO_STRETCH
            return QuietStretch(first, last, last_save_tick + rules.checkpoint_interval)
        if self.state is _S.APPROACHING_HOTSPOT:
            for x in hotspots:
                if x - nearest >= x_pos:
                    first = max(first, x - rules.approach_distance)
                    if first <= x_pos < x - furthest:
                        return QuietStretch(first, x - furthest - 1, _FAR)
                    break
                first = x - nearest + 1
        return _NO_STRETCH

    def _classify(self, context: SnapshotContext) -> SnapshotEvent:
        state, rules = self.state, self.rules
        if state is SnapshotState.EVALUATE_RESTORE:
            return _E.WORTHWHILE if self._worthwhile(context) else _E.HOPELESS
        playing = state in (_S.RUNNING, _S.APPROACHING_HOTSPOT, _S.CHECKPOINT_DUE)
        if playing and context.died:
            return _E.DIED
        if not playing or state is _S.CHECKPOINT_DUE:
            return _E.NOTHING
        if context.hotspot_x is not None:
            ahead = context.hotspot_x - context.x_pos
            if (
                state is _S.APPROACHING_HOTSPOT
                and abs(ahead - rules.save_distance) <= rules.save_tolerance
            ):
                return _E.AT_SAVE_POINT
            nearest = rules.save_distance - rules.save_tolerance
            if nearest <= ahead <= rules.approach_distance:
                return _E.HOTSPOT_AHEAD
        due = context.tick - context.last_save_tick >= rules.checkpoint_interval
        return _E.CHECKPOINT if due and state is _S.RUNNING else _E.NOTHING

    def _worthwhile(self, context: SnapshotContext) -> bool:
        rules = self.rules
        distance = context.restore_distance
        return (
            context.has_snapshot
            and not context.by_clock
            and self.restores_without_progress < rules.max_restores_without_progress
            and (distance is None or distance >= rules.min_restore_distance)
        )
