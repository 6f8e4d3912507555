"""Values that were replaced after they had been saved come back, and are written once each time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mario_agents.replay import dataset
from mario_agents.replay.revisions import MOST_COPIES
from mario_agents.replay.saving import StorageSaver
from mario_agents.replay.sequence_replay import SequenceReplay
from mario_agents.replay.storage import Storage
from mario_agents.run import CheckpointStore
from mario_envkit.errors import CheckpointError
from tests.agents.replay_reference import EXTRAS, InventedGames, Play, plays
from tests.agents.test_replay import kept, storage_for
from tests.agents.test_replay_saving import Kept, copied


def states(storage: Storage) -> dict[int, list[float]]:
    """By step that can be drawn, its recurrent state."""
    step, game = storage.locate(index := kept(storage))
    found = storage.columns["state"][game, step % storage.rows]
    return dict(zip(index.tolist(), found.tolist(), strict=True))


def refresh(storage: Storage, saver: StorageSaver, index: np.ndarray, value: float) -> None:
    """Replace states, as a dataset does."""
    values = value + np.arange(2 * index.size).reshape(*index.shape, 2) % 7 / 8
    storage.write("state", index, values.astype(np.float16))
    saver.changed(index)


@settings(max_examples=80, deadline=None)
@given(plays(), st.sampled_from([1, 60, 400, 10**9]), st.data())
def test_refreshed_states_come_back_whenever_they_were_saved(
    play: Play, chunk_bytes: int, data: st.DataObject
):
    """Refreshed and saved at any moments; every checkpoint comes back with the states it had."""
    storage, keep, value = storage_for(play), Kept(), 0.0
    saver = StorageSaver(storage, chunk_bytes)
    for worker, events in play.script:
        if events is None:
            play.games[worker].reset()
            storage.cut(worker)
        else:
            storage.add(play.games[worker].step(events), worker)
        what = data.draw(st.sampled_from(["nothing", "refresh", "refresh", "chunk", "save"]))
        if what == "refresh" and len(there := kept(storage)):
            places = data.draw(st.lists(st.integers(0, len(there) - 1), min_size=1, max_size=6))
            value += 1.0
            refresh(storage, saver, np.append(there[places], -1), value)
        elif what == "chunk":
            saver.write_chunk(keep.write)
        elif what == "save":
            while saver.write_chunk(keep.write, saving=True):
                pass
            saved = copied(saver.tensors()), saver.state()
            keep.chunks = {name: keep.chunks[name] for name in saver.chunks()}
            other = storage_for(play)
            theirs = StorageSaver(other, chunk_bytes)
            for name in saved[1]["chunks"]:
                theirs.read_chunk(keep.chunks[name])
            theirs.restore(*saved)
            assert states(other) == states(storage)
            assert theirs.chunks() == saver.chunks()
            if data.draw(st.booleans()):  # the run goes on from there
                storage, saver = other, theirs


def full_storage(rows: int) -> tuple[Storage, StorageSaver, Kept]:
    """One game, all of whose steps are in chunks."""
    games, storage = InventedGames(1, 1, 0, 9), Storage(rows, 1, (1, 2, 3), extras=EXTRAS)
    saver, keep = StorageSaver(storage, chunk_bytes=100), Kept()
    for _ in range(rows):
        storage.add(games.step(["go"]), 0)
    while saver.write_chunk(keep.write):
        pass
    return storage, saver, keep


def revised(keep: Kept) -> list[int]:
    """Steps in each revision that was written."""
    return [len(chunk["revised"]) for chunk in keep.chunks.values() if "revised" in chunk]


def test_what_did_not_change_is_not_written_again():
    storage, saver, keep = full_storage(64)
    some = np.arange(20)
    for value in (1.0, 2.0, 3.0):
        refresh(storage, saver, some, value)
    assert not saver.write_chunk(keep.write)  # they may change again before the checkpoint
    while saver.write_chunk(keep.write, saving=True):
        pass
    pending = len(saver.tensors()["pending.revised"])
    assert sum(revised(keep)) + pending == 20
    before = len(keep.chunks)
    while saver.write_chunk(keep.write, saving=True):
        pass
    assert len(keep.chunks) == before
    refresh(storage, saver, some[:10], 4.0)
    while saver.write_chunk(keep.write, saving=True):
        pass
    assert sum(revised(keep)) + len(saver.tensors()["pending.revised"]) <= 20 + 10


def test_revisions_do_not_pile_up_on_the_disk():
    """A few steps that rarely change keep no long list of revisions alive."""
    storage, saver, keep = full_storage(64)
    rng = np.random.default_rng(0)
    for round_ in range(200):
        refresh(storage, saver, rng.integers(60, size=12), float(round_))
        while saver.write_chunk(keep.write, saving=True):
            pass
        saver.tensors()
        keep.chunks = {name: keep.chunks[name] for name in saver.chunks()}
        assert sum(revised(keep)) <= MOST_COPIES * 64 + 12


def test_a_revision_that_could_not_be_written_is_written_later():
    storage, saver, keep = full_storage(64)
    refresh(storage, saver, np.arange(30), 1.0)

    def full(_: object) -> str:
        raise CheckpointError("full")

    with pytest.raises(CheckpointError):
        saver.write_chunk(full, saving=True)
    assert len(saver.tensors()["pending.revised"]) == 30
    assert saver.write_chunk(keep.write, saving=True)


def test_a_resumed_dataset_has_the_states_that_its_learner_refreshed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Through files, with feedback between every two rounds."""
    monkeypatch.setattr(
        dataset, "StorageSaver", lambda storage: StorageSaver(storage, chunk_bytes=300)
    )

    def build() -> SequenceReplay:
        return SequenceReplay(
            Storage(120, 2, (1, 2, 3), extras=EXTRAS),
            np.random.default_rng(0),
            batch_size=3,
            length=4,
            context=1,
            online=True,
            learning_starts=10,
            train_every=2,
            save=True,
        )

    games, replay, store = InventedGames(2, 1, 0, 9), build(), CheckpointStore(tmp_path, keep=2)
    for round_ in range(90):
        replay.add(games.step(["go", "go"]), 0)
        replay.write_chunk(store.write_chunk)
        for number, batch in enumerate(replay.batches(0)):
            value = (round_ + number) / 8
            fresh = torch.full((3, 4, 2), value, dtype=torch.float16)
            replay.feedback(batch, {"state": fresh, "loss": torch.zeros(())})
        if round_ % 20 == 19:
            while replay.write_chunk(store.write_chunk, saving=True):
                pass
            store.save(round_, replay.tensors(), replay.state(), replay.chunks())
            other, again = build(), CheckpointStore(tmp_path, keep=2)
            checkpoint = again.load_latest()
            for chunk in again.read_chunks(checkpoint):
                other.read_chunk(chunk)
            other.restore(checkpoint.tensors, checkpoint.state)
            assert states(other.storage) == states(replay.storage)
    assert checkpoint.state["storage"]["revisions"]
