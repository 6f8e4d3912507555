"""The table: what holds for any history, and each of the documented decisions."""

from __future__ import annotations

import ast
import inspect
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mario_envkit.errors import OptionError
from mario_envkit.snapshots import state_machine as module
from mario_envkit.snapshots.state_machine import (
    TRANSITIONS,
    SnapshotAction,
    SnapshotContext,
    SnapshotEvent,
    SnapshotRules,
    SnapshotState,
    SnapshotStateMachine,
    transition,
)

S, A, E = SnapshotState, SnapshotAction, SnapshotEvent

contexts = st.builds(
    SnapshotContext,
    x_pos=st.integers(0, 4000),
    tick=st.integers(0, 3000),
    last_save_tick=st.integers(0, 3000),
    progress=st.integers(0, 300),
    hotspot_x=st.none() | st.integers(0, 4000),
    died=st.booleans(),
    by_clock=st.booleans(),
    has_snapshot=st.booleans(),
    restore_distance=st.none() | st.integers(0, 200),
)
ACTIONS = {S.SAVE_SNAPSHOT: A.SAVE, S.RESTORING: A.RESTORE, S.GIVE_UP: A.END_EPISODE}


@given(st.lists(contexts, max_size=60))
def test_any_history_is_accepted_and_actions_belong_to_states(history):
    machine = SnapshotStateMachine()
    for context in history:
        before = machine.state
        state, action = machine.advance(context)
        assert action is ACTIONS.get(state, A.NONE)
        assert (state, action) in [t for (s, _), t in TRANSITIONS.items() if s is before]
        if before is S.GIVE_UP:
            assert state is S.GIVE_UP


@given(st.lists(contexts, max_size=200), st.integers(0, 4))
def test_never_more_restores_without_progress_than_allowed(history, allowed):
    machine = SnapshotStateMachine(SnapshotRules(max_restores_without_progress=allowed))
    progress = mark = 0
    in_vain = 0
    for raw in history:
        progress += raw.progress // 10  # never falls, as promised to the machine
        context = SnapshotContext(
            x_pos=raw.x_pos, tick=raw.tick, progress=progress, died=True, has_snapshot=True
        )
        _, action = machine.advance(context)
        if action is A.RESTORE:
            if in_vain == 0 or progress - mark >= 50:
                in_vain, mark = 0, progress
            in_vain += 1
            assert in_vain <= allowed
    machine.reset()
    assert (machine.state, machine.restores_without_progress) == (S.RUNNING, 0)


@given(st.lists(contexts, max_size=40), contexts)
def test_a_reset_machine_is_a_new_one(history, context):
    used, new = SnapshotStateMachine(), SnapshotStateMachine()
    for earlier in history:
        used.advance(earlier)
    used.reset()
    for _ in range(5):
        assert used.advance(context) == new.advance(context)
        assert used.restores_without_progress == new.restores_without_progress


@given(
    st.sampled_from([S.RUNNING, S.APPROACHING_HOTSPOT]),
    st.integers(0, 600),
    st.lists(st.integers(0, 24), max_size=6, unique=True).map(sorted),
    st.integers(0, 100),
    st.data(),
)
def test_in_a_quiet_stretch_nothing_happens_and_just_outside_something_does(
    state, x_pos, buckets, last_save_tick, data
):
    hotspots = [25 * bucket for bucket in buckets]
    machine = SnapshotStateMachine(SnapshotRules(save_tolerance=data.draw(st.integers(0, 50))))
    nearest = machine.rules.save_distance - machine.rules.save_tolerance

    def goes_on(x: int, tick: int) -> bool:
        machine.state = state
        following = next((spot for spot in hotspots if spot >= x + nearest), None)
        context = SnapshotContext(
            x_pos=x, tick=tick, last_save_tick=last_save_tick, hotspot_x=following
        )
        return machine.advance(context) == (state, A.NONE)

    machine.state = state
    stretch = machine.quiet_stretch(x_pos, last_save_tick, hotspots)
    in_it = stretch.first_x <= x_pos <= stretch.last_x
    assert in_it == goes_on(x_pos, last_save_tick)
    if in_it:
        low, high = max(stretch.first_x, -200), min(stretch.last_x, 900)
        latest = min(stretch.due_tick, 10_000) - 1
        assert goes_on(data.draw(st.integers(low, high)), data.draw(st.integers(0, latest)))
        if state is S.RUNNING:
            assert not goes_on(x_pos, stretch.due_tick)
        for x in (stretch.first_x - 1, stretch.last_x + 1):
            assert abs(x) > 10**6 or not goes_on(x, last_save_tick)


def test_pairs_outside_the_table_raise():
    outside = [pair for pair in product(S, E) if pair not in TRANSITIONS]
    assert len(outside) == len(S) * len(E) - len(TRANSITIONS)
    for state, event in outside:
        with pytest.raises(OptionError, match="cannot happen"):
            transition(state, event)


def test_every_state_is_reached_and_left_as_documented():
    reached = {
        state: {to for (start, _), (to, _) in TRANSITIONS.items() if start is state and to != state}
        for state in S
    }
    assert reached == {
        S.RUNNING: {S.APPROACHING_HOTSPOT, S.CHECKPOINT_DUE, S.DEAD},
        S.APPROACHING_HOTSPOT: {S.SAVE_SNAPSHOT, S.DEAD, S.RUNNING},
        S.CHECKPOINT_DUE: {S.SAVE_SNAPSHOT, S.DEAD},
        S.SAVE_SNAPSHOT: {S.SNAPSHOT_SAVED},
        S.SNAPSHOT_SAVED: {S.RUNNING},
        S.DEAD: {S.EVALUATE_RESTORE},
        S.EVALUATE_RESTORE: {S.RESTORING, S.GIVE_UP},
        S.RESTORING: {S.RUNNING},
        S.GIVE_UP: set(),
    }


def test_it_imports_no_clock_and_no_io():
    tree = ast.parse(inspect.getsource(module))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module)
    assert imported == {
        "__future__",
        "dataclasses",
        "enum",
        "mario_envkit.arguments",
        "mario_envkit.errors",
    }
    calls = {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and hasattr(n.func, "id")}
    assert not calls & {"open", "print", "input"}


@pytest.mark.parametrize(
    ("x_pos", "states"),
    [
        (399, [S.RUNNING] * 2),
        (400, [S.APPROACHING_HOTSPOT] * 2),
        (424, [S.APPROACHING_HOTSPOT] * 2),
        (425, [S.APPROACHING_HOTSPOT, S.SAVE_SNAPSHOT, S.SNAPSHOT_SAVED, S.RUNNING]),
        (475, [S.APPROACHING_HOTSPOT, S.SAVE_SNAPSHOT, S.SNAPSHOT_SAVED, S.RUNNING]),
        (476, [S.RUNNING] * 2),
        (600, [S.RUNNING] * 2),
    ],
)
def test_a_hotspot_at_500(x_pos, states):
    machine = SnapshotStateMachine()
    context = SnapshotContext(x_pos=x_pos, tick=0, hotspot_x=500)
    assert [machine.advance(context)[0] for _ in states] == states


def test_checkpoints_are_due_by_ticks_that_count_up():
    machine = SnapshotStateMachine()
    assert machine.advance(SnapshotContext(0, 499))[0] is S.RUNNING
    assert machine.advance(SnapshotContext(0, 999, last_save_tick=500))[0] is S.RUNNING
    due = SnapshotContext(0, 1000, last_save_tick=500)
    assert [machine.advance(due) for _ in range(2)] == [
        (S.CHECKPOINT_DUE, A.NONE),
        (S.SAVE_SNAPSHOT, A.SAVE),
    ]


@pytest.mark.parametrize(
    "hopeless",
    [{"has_snapshot": False}, {"by_clock": True}, {"restore_distance": 24}],
    ids=lambda change: next(iter(change)),
)
def test_when_it_gives_up(hopeless):
    good = {"died": True, "has_snapshot": True, "restore_distance": 25}
    for changes, last in (({}, S.RESTORING), (hopeless, S.GIVE_UP)):
        machine = SnapshotStateMachine()
        context = SnapshotContext(500, 100, **{**good, **changes})
        assert [machine.advance(context)[0] for _ in range(3)] == [
            S.DEAD, S.EVALUATE_RESTORE, last,
        ]  # fmt: skip


def test_the_fourth_death_without_progress_gives_up_and_progress_starts_anew():
    machine = SnapshotStateMachine()

    def die(progress):
        context = SnapshotContext(500, 100, progress=progress, died=True, has_snapshot=True)
        for _ in range(3):
            state, _ = machine.advance(context)
        if state is S.RESTORING:
            machine.advance(SnapshotContext(400, 50, progress=progress))
        return state, machine.restores_without_progress

    assert [die(p) for p in (300, 310, 349)] == [(S.RESTORING, n) for n in (1, 2, 3)]
    assert die(350) == (S.RESTORING, 1)
    assert [die(p) for p in (350, 399)] == [(S.RESTORING, n) for n in (2, 3)]
    assert die(399) == (S.GIVE_UP, 3)


@pytest.mark.parametrize(
    "rules",
    [
        {"checkpoint_interval": 0},
        {"max_restores_without_progress": -1},
        {"min_progress": 0},
        {"save_tolerance": 60},
        {"approach_distance": 60},
    ],
)
def test_rules_that_make_no_sense(rules):
    with pytest.raises(OptionError, match="not possible"):
        SnapshotRules(**rules)
