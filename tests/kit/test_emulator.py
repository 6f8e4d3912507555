"""Backends against the conformance checks, and what is particular to snapshots and tapes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mario_envkit.emulator import Snapshot, find_rom
from mario_envkit.emulator.backends import TIMINGS, available_backends, make_emulator
from mario_envkit.emulator.tape import Tape
from mario_envkit.errors import OptionError, SnapshotMismatch
from mario_envkit.testing.emulator import CHECKS

BACKENDS = [(b, timing) for b in available_backends() for timing in TIMINGS[b]]


@pytest.mark.parametrize(("backend", "timing"), BACKENDS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_conformance(check, backend, timing):
    check(lambda: make_emulator(find_rom(), backend, timing))


def test_unknown_backend_and_timing():
    with pytest.raises(OptionError, match="'mame' does not exist"):
        make_emulator(find_rom(), "mame")
    with pytest.raises(OptionError, match="timing='pal' is not possible"):
        make_emulator(find_rom(), "nes-py", "pal")


snapshots = st.builds(
    Snapshot, st.text(max_size=20), st.binary(min_size=32, max_size=32).map(bytes.hex), st.binary()
)


@given(snapshots)
def test_snapshot_bytes_round_trip(snapshot):
    assert Snapshot.from_bytes(snapshot.to_bytes()) == snapshot


@given(snapshots, st.data())
def test_damaged_snapshot_bytes_are_refused(snapshot, data):
    raw = bytearray(snapshot.to_bytes())
    position = data.draw(st.integers(0, len(raw) - 1))
    raw[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SnapshotMismatch):
        Snapshot.from_bytes(bytes(raw))


@given(st.binary())
def test_garbage_is_no_snapshot(garbage):
    with pytest.raises(SnapshotMismatch):
        Snapshot.from_bytes(garbage)


@st.composite
def tapes(draw):
    buttons = draw(st.binary(max_size=12))
    moments = sorted(draw(st.lists(st.integers(0, len(buttons)), max_size=6)))
    pokes = [(m, draw(st.integers(0, 0x7FF)), draw(st.integers(0, 255))) for m in moments]
    return Tape(buttons, tuple(pokes))


@given(tapes())
def test_tape_round_trip(tape):
    assert Tape.from_bytes(tape.to_bytes()) == tape


def _performed(steps):
    """Writes and frames in the order in which they happen."""
    for writes, buttons in steps:
        yield from writes
        if buttons is not None:
            yield buttons


@given(tapes(), st.data())
def test_replay_after_a_beginning_completes_it(tape, data):
    frames = data.draw(st.integers(0, len(tape.buttons)))
    pokes = tuple(poke for poke in tape.pokes if poke[0] < frames)
    start = Tape(tape.buttons[:frames], pokes)
    nothing = Tape(b"", ())
    assert tape.starts_with(start)
    whole = list(_performed(tape.after(nothing)))
    assert list(_performed(start.after(nothing))) + list(_performed(tape.after(start))) == whole


def test_a_history_with_other_writes_is_no_beginning():
    tape = Tape(b"\x01\x02", ((0, 5, 9),))
    assert not tape.starts_with(Tape(b"\x01", ()))  # it would have missed the write
    assert not tape.starts_with(Tape(b"\x01", ((0, 5, 8),)))
    assert tape.starts_with(Tape(b"", ()))
