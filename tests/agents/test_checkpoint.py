"""Checkpoints: what is saved comes back, and damage is noticed."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from mario_agents.run import CheckpointStore
from mario_envkit.errors import CheckpointError

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**130), 2**130)
    | st.floats(allow_nan=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
DTYPES = [torch.float32, torch.bfloat16, torch.int64, torch.uint8, torch.bool]
SHAPES = [(), (0,), (3,), (2, 3), (1, 2, 2)]


def make_tensor(dtype: torch.dtype, shape: tuple[int, ...], seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 100, shape, generator=generator).to(dtype)


TENSORS = st.dictionaries(
    st.text("abc.", min_size=1, max_size=6),
    st.builds(make_tensor, st.sampled_from(DTYPES), st.sampled_from(SHAPES), st.integers(0, 99)),
    max_size=4,
)


def assert_same(actual: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert actual.keys() == expected.keys()
    for name, tensor in expected.items():
        assert actual[name].dtype == tensor.dtype
        assert torch.equal(actual[name], tensor)


@given(
    saves=st.lists(
        st.tuples(st.integers(0, 10**9), TENSORS, st.dictionaries(st.text(max_size=4), JSON)),
        min_size=1,
        max_size=5,
    ),
    keep=st.integers(1, 3),
)
@settings(max_examples=20)
def test_the_last_save_comes_back_and_only_so_many_stay(
    saves: list[tuple[int, dict[str, torch.Tensor], dict[str, Any]]], keep: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for number, (step, tensors, state) in enumerate(saves, start=1):
            # A new store each time: nothing may depend on what a process remembers.
            store = CheckpointStore(Path(folder), keep)
            store.save(step, tensors, state)
            loaded = store.load_latest()
            assert (loaded.step, loaded.state) == (step, state)
            assert_same(loaded.tensors, tensors)
            assert len(store) == min(number, keep)
            assert len(os.listdir(folder)) == 2 * len(store)


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    """A store with steps 100, 200 and 300."""
    store = CheckpointStore(tmp_path / "checkpoint")
    for step in (100, 200, 300):
        store.save(step, {"w": torch.arange(50) + step}, {"best": [step, "é"]})
    return store


def files(store: CheckpointStore, suffix: str) -> list[Path]:
    return sorted(store.directory.glob(f"*.{suffix}"))


@pytest.mark.parametrize("suffix", ["safetensors", "json"])
@pytest.mark.parametrize("seed", range(8))
def test_a_flipped_bit_is_noticed(
    store: CheckpointStore, suffix: str, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = files(store, suffix)[-1]
    data = bytearray(path.read_bytes())
    rng = random.Random(seed)
    data[rng.randrange(len(data) - 1)] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        loaded = store.load_latest()
    assert loaded.step == 200
    assert torch.equal(loaded.tensors["w"], torch.arange(50) + 200)
    assert "Skipped a damaged checkpoint (000003-step300.json" in caplog.text
    assert "000002-step200.json" in caplog.text


@pytest.mark.parametrize("suffix", ["safetensors", "json"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.98])
def test_a_truncated_file_is_noticed(store: CheckpointStore, suffix: str, share: float) -> None:
    path = files(store, suffix)[-1]
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    assert store.load_latest().step == 200


def test_a_missing_file_is_noticed(store: CheckpointStore) -> None:
    files(store, "safetensors")[-1].unlink()
    files(store, "json")[-2].write_text("[]")
    assert store.load_latest().step == 100


def test_another_format_is_not_guessed(store: CheckpointStore) -> None:
    path = files(store, "json")[-1]
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 1}))
    assert store.load_latest().step == 200


def test_nothing_readable_is_one_sentence(store: CheckpointStore) -> None:
    for path in files(store, "json"):
        path.write_bytes(b"\xff")
    with pytest.raises(CheckpointError, match="can be read"):
        store.load_latest()
    assert len(store) == 3  # still there, for whoever wants to look


def test_an_empty_store_says_so(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="There is no checkpoint in"):
        CheckpointStore(tmp_path / "nothing").load_latest()


def test_going_back_in_steps_keeps_the_newest_save(store: CheckpointStore) -> None:
    """After a fallback the run saves lower steps than the damaged checkpoint has."""
    store.save(150, {}, {"after": "fallback"})
    assert store.load_latest().step == 150


def test_tensors_that_share_memory(tmp_path: Path) -> None:
    base = torch.arange(6.0)
    tensors = {"a": base, "b": base, "part": base[2:4], "columns": base.reshape(2, 3).T}
    store = CheckpointStore(tmp_path)
    store.save(1, tensors, {})
    assert_same(store.load_latest().tensors, tensors)


def test_a_failed_save_leaves_the_old_ones(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    before = {path.name: path.read_bytes() for path in store.directory.iterdir()}
    monkeypatch.setattr("mario_agents.run.checkpoint.save_file", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        store.save(400, {"w": torch.zeros(3)}, {})
    assert {path.name: path.read_bytes() for path in store.directory.iterdir()} == before
    with pytest.raises(TypeError):
        store.save(400, {}, {"not json": object()})
    assert store.load_latest().step == 300


def test_leftovers_of_a_dead_process_are_cleared(store: CheckpointStore) -> None:
    (store.directory / ".000004-step400.json.1.tmp").write_text("half")
    (store.directory / "000004-step400.safetensors").write_text("no manifest")
    (store.directory / "notes.txt").write_text("mine")
    assert store.load_latest().step == 300
    store.save(400, {}, {})
    names = {path.name for path in store.directory.iterdir()}
    assert not any(name.endswith(".tmp") for name in names)
    assert "000004-step400.safetensors" not in names
    assert "notes.txt" in names


def piece(number: int) -> dict[str, torch.Tensor]:
    return {"values": torch.full((2_000,), number)}


def read(store: CheckpointStore) -> list[int]:
    """Step of the newest whole checkpoint, and what its pieces hold."""
    checkpoint = store.load_latest()
    pieces = [int(tensors["values"][0]) for tensors in store.read_chunks(checkpoint)]
    return [checkpoint.step, *pieces]


def test_pieces_are_written_once_and_live_while_a_checkpoint_needs_them(tmp_path: Path) -> None:
    store, names = CheckpointStore(tmp_path, keep=2), []
    for number in range(5):
        names.append(store.write_chunk(piece(number)))
        store.save(number, {}, {}, names[-2:])
    assert len(set(names)) == 5
    assert read(store) == [4, 3, 4]
    (tmp_path / "000005-step4.json").unlink()
    assert read(store) == [3, 2, 3]
    # Another process goes on from here: it can claim what it read, and only that.
    other = CheckpointStore(tmp_path, keep=2)
    with pytest.raises(KeyError, match=names[3]):
        other.save(9, {}, {}, names[3:4])
    assert read(other) == [3, 2, 3]
    new = other.write_chunk(piece(9))
    assert new not in names
    other.save(9, {}, {}, [names[3], new])
    assert read(CheckpointStore(tmp_path)) == [9, 3, 9]
    left = {path.stem for path in tmp_path.glob("chunk-*")}
    assert left == {names[2], names[3], new}  # what no checkpoint needs is gone


@pytest.mark.parametrize("how", ["missing", "shorter", "flipped", "another"])
def test_a_checkpoint_with_a_damaged_piece_is_skipped(
    tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = CheckpointStore(tmp_path)
    first = store.write_chunk(piece(1))
    store.save(100, {}, {}, [first])
    second = store.write_chunk(piece(2))
    store.save(200, {}, {}, [first, second])
    path = tmp_path / f"{second}.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-5] ^= 1
    if how == "missing":
        path.unlink()
    elif how == "another":
        path.write_bytes((tmp_path / f"{first}.safetensors").read_bytes())
    else:
        path.write_bytes(raw if how == "flipped" else raw[:-8])
    assert read(store) == [100, 1]
    assert "Skipped a damaged checkpoint (000002-step200.json" in caplog.text


def test_a_piece_that_the_disk_refuses_leaves_nothing(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object, path: Path) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device")

    before = {path.name for path in store.directory.iterdir()}
    monkeypatch.setattr("mario_agents.run.chunks.save_file", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        store.write_chunk(piece(1))
    assert {path.name for path in store.directory.iterdir()} == before


class Killed(BaseException):
    """In the place of a process that is no more."""


def die_at(call: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process does nothing to the disk any more from its ``call``-th attempt on."""
    left = call

    def mortal(function: Any) -> Any:
        def or_die(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            left -= 1
            if left <= 0:
                raise Killed
            return function(*args, **kwargs)

        return or_die

    def save_half(tensors: dict[str, torch.Tensor], path: Path) -> None:
        nonlocal left
        save_file(tensors, path)
        left -= 1
        if left <= 0:
            path.write_bytes(path.read_bytes()[:-50])
            raise Killed

    for name in ("open", "replace", "fsync", "unlink", "chmod"):
        monkeypatch.setattr(os, name, mortal(getattr(os, name)))
    for module in ("checkpoint", "chunks"):
        monkeypatch.setattr(f"mario_agents.run.{module}.save_file", save_half)


def test_killed_at_any_write_no_checkpoint_claims_a_piece_that_is_not_whole(tmp_path: Path) -> None:
    """One process after the other dies, each a call of the operating system later, and the next
    one goes on from what it left."""
    reached, call, survived = 0, 0, False
    while not survived:
        call += 1
        store, names = CheckpointStore(tmp_path, keep=2), []
        if list(tmp_path.glob("*.json")):
            checkpoint = store.load_latest()
            names = [chunk.name for chunk in checkpoint.chunks]
            pieces = [int(tensors["values"][0]) for tensors in store.read_chunks(checkpoint)]
            assert checkpoint.step in (reached, reached + 1)
            assert pieces == list(range(max(checkpoint.step - 2, 1), checkpoint.step + 1))
            reached = checkpoint.step
        with pytest.MonkeyPatch.context() as monkeypatch, contextlib.suppress(Killed):
            die_at(call, monkeypatch)
            names = [*names, store.write_chunk(piece(reached + 1))][-3:]
            store.save(reached + 1, {"w": torch.zeros(10)}, {}, names)
            reached, survived = reached + 1, True
    assert call > 15
    assert reached > 5
    assert len(list(tmp_path.glob("chunk-*"))) == 4  # of the last two checkpoints
    assert not list(tmp_path.glob(".*.tmp"))


SAVER = """
import sys, torch
from pathlib import Path
from mario_agents.run import CheckpointStore
store, step = CheckpointStore(Path(sys.argv[1])), 0
while True:
    step += 1
    chunk = store.write_chunk({"values": torch.full((20_000,), step)})
    store.save(step, {"w": torch.full((20_000,), step)}, {"step": step}, [chunk])
    print(step, flush=True)
"""


@pytest.mark.slow
def test_sigkill_while_saving_never_costs_more_than_the_save(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "checkpoint")
    rng = random.Random(0)
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", SAVER, str(store.directory)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        process.stdout.readline()  # it is in its loop
        time.sleep(rng.uniform(0.0, 0.15))
        process.send_signal(signal.SIGKILL)
        done = [int(line) for line in process.stdout.read().split()]
        process.wait()
        loaded = store.load_latest()
        # Saved and reported, or renamed just before the kill.
        last = done[-1] if done else 1
        assert loaded.step in (last, last + 1)
        assert loaded.state == {"step": loaded.step}
        assert torch.equal(loaded.tensors["w"], torch.full((20_000,), loaded.step))
        assert read(store) == [loaded.step, loaded.step]
