"""Files of recorded runs: what is written is read, and nothing else is."""

from __future__ import annotations

import dataclasses
import json
import os
import string
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mario_envkit.curriculum.runs import FORMAT, MAX_FRAMES, Run
from mario_envkit.emulator.rom import find_rom
from mario_envkit.errors import OptionError, ReplayError
from mario_envkit.game.levels import WORLDS, Level, all_levels

games = st.sampled_from(sorted(WORLDS))
held = st.lists(st.tuples(st.integers(0, 255), st.integers(1, 300)), min_size=1, max_size=30)
runs = games.flatmap(
    lambda game: st.builds(
        Run,
        level=st.sampled_from(all_levels(game)),
        actions=held.map(lambda pairs: b"".join(bytes([byte]) * n for byte, n in pairs)),
        timing=st.sampled_from(["console", "nes-py"]),
        core=st.sampled_from(["native/console", "native/nes-py"]),
        rom_sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
        game=st.just(game),
    )
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(string.printable, max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)

GOOD = Run(Level(1, 1), b"\x80\x80\x81", "console", "native/console", "0" * 64)


@given(runs)
def test_what_is_written_is_read(run):
    assert Run.from_json(run.to_json()) == run
    assert Run.from_json(run.to_json().encode()) == run


@given(runs)
def test_actions_are_run_length_encoded(run):
    pairs = json.loads(run.to_json())["actions"]
    assert all(now[0] != after[0] for now, after in pairwise(pairs))
    assert sum(frames for _, frames in pairs) == run.frames


@given(st.binary(max_size=200) | anything.map(lambda value: json.dumps(value).encode()))
@example(b"\xff\xfe{}")
@example(b"[" * 100_000)
@example(b"9" * 5000)
@example(b'{"format": 1, "format": NaN}')
def test_garbage_is_refused(data):
    with pytest.raises(ReplayError):
        Run.from_json(data)


@given(runs, st.data())
def test_a_changed_field_is_refused_or_read_as_it_says(run, data):
    document = json.loads(run.to_json())
    key = data.draw(st.sampled_from(sorted(document)))
    document[key] = data.draw(anything)
    try:
        again = Run.from_json(json.dumps(document))
    except ReplayError as refusal:
        message = str(refusal)
    else:
        message = ""
        assert json.loads(again.to_json()) == document
    assert "\n" not in message
    assert len(message) < 300


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("format", 2, f"format is 2, and this version reads {FORMAT}"),
        ("format", True, "format is True"),
        ("game", "zelda", "'game' is 'zelda'"),
        ("level", "9-1", "There is no level '9-1'"),
        ("level", "1-1\n", "'level' is"),
        ("level", "๑-๑", "'level' is"),
        ("timing", "pal", "'timing' is 'pal'"),
        ("core", "../../x y", "'core' is"),
        ("rom_sha256", "F" * 64, "'rom_sha256' is"),
        ("frames", 4, "says 4 frames and has actions for 3"),
        ("frames", 3.0, "says 3.0 frames"),
        ("actions", [], "no list of actions"),
        ("actions", {"0": 1}, "no list of actions"),
        ("actions", [[128, 2], [129, 1, 0]], "[129, 1, 0] among its actions"),
        ("actions", [[256, 3]], "[256, 3] among its actions"),
        ("actions", [[128, 0]], "[128, 0] among its actions"),
        ("actions", [[128, True]], "[128, True] among its actions"),
        ("actions", [[128, 10**18]], "among its actions"),
        ("actions", [[128, MAX_FRAMES], [0, 1]], "[0, 1] among its actions"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, field, value, words):
    path = tmp_path / "run.json"
    path.write_text(json.dumps({**json.loads(GOOD.to_json()), field: value}))
    with pytest.raises(ReplayError) as raised:
        Run.load(path)
    assert words in str(raised.value)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("missing", sorted(json.loads(GOOD.to_json())))
def test_no_field_may_be_missing(missing):
    document = json.loads(GOOD.to_json())
    del document[missing]
    with pytest.raises(ReplayError):
        Run.from_json(json.dumps(document))


def test_files(tmp_path):
    path = tmp_path / "run.json"
    GOOD.save(path)
    assert Run.load(path) == GOOD
    assert os.listdir(tmp_path) == ["run.json"]
    with pytest.raises(ReplayError, match="cannot be saved"):
        GOOD.save(tmp_path / "nowhere" / "run.json")
    with pytest.raises(ReplayError, match="cannot be read: No such file"):
        Run.load(tmp_path / "other.json")
    with pytest.raises(ReplayError, match="cannot be read"):
        Run.load(tmp_path)
    with pytest.raises(OptionError, match=r"path=.* is not possible"):
        Run.load("a\0b")


def test_a_file_without_end_is_not_read_to_its_end():
    if not os.path.exists("/dev/zero"):
        pytest.skip("no endless file here")
    with pytest.raises(ReplayError, match="larger than"):
        Run.load("/dev/zero")


def test_a_run_is_not_played_with_another_cartridge():
    with pytest.raises(ReplayError, match=r"made with the cartridge 000000000000.*--rom"):
        GOOD.make_env()


@pytest.mark.parametrize(
    ("actions", "words"),
    [
        (b"\x80" * 10, "does not reach the flag"),
        (b"\x80" * 400, "does not go as recorded: the episode ended after step"),  # a Goomba
    ],
)
def test_a_run_that_does_not_lead_to_the_flag_is_not_verified(actions, words):
    run = dataclasses.replace(GOOD, actions=actions, rom_sha256=find_rom().sha256)
    with pytest.raises(ReplayError, match=words):
        run.verify(backend="native")
