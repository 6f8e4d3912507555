"""Checkpoints: what is saved comes back, and damage is noticed."""

from __future__ import annotations

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
@settings(max_examples=40, deadline=None)
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
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
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


SAVER = """
import sys, torch
from pathlib import Path
from mario_agents.run import CheckpointStore
store, step = CheckpointStore(Path(sys.argv[1])), 0
while True:
    step += 1
    store.save(step, {"w": torch.full((20_000,), step)}, {"step": step})
    print(step, flush=True)
"""


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
