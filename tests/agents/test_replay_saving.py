"""A saved replay comes back as it was, whatever of it is in chunks, and goes on alike."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mario_agents.replay.saving import StorageSaver
from mario_agents.replay.selectors import PrioritizedSelector, UniformSelector
from mario_agents.replay.storage import Storage
from mario_agents.replay.transitions import TransitionReplay, transitions
from mario_agents.run import CheckpointStore
from mario_envkit.errors import CheckpointError
from tests.agents.replay_reference import InventedGames, NaiveReplay, Play, plays
from tests.agents.test_checkpoint import Killed, die_at
from tests.agents.test_replay import assert_same, kept, storage_for


class Kept:
    """Chunks as a store keeps them: copies, of which only the needed ones can be read again."""

    def __init__(self) -> None:
        self.chunks: dict[str, dict[str, torch.Tensor]] = {}
        self.written = 0

    def write(self, tensors: Mapping[str, torch.Tensor]) -> str:
        self.written += 1
        name = f"chunk-{self.written}"
        self.chunks[name] = copied(tensors)
        return name


def copied(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in tensors.items()}


@settings(max_examples=80)
@given(plays(), st.sampled_from([1, 200, 2000, 10**9]), st.data())
def test_chunks_and_tail_are_the_whole(play: Play, chunk_bytes: int, data: st.DataObject):
    """Saved at any moments, some chunks written in between, the last save comes back."""
    storage, kept_chunks = storage_for(play), Kept()
    saver = StorageSaver(storage, chunk_bytes)
    naive = NaiveReplay(play.num_envs, list(play.games))
    saved = None
    for worker, events in play.script:
        if events is None:
            play.games[worker].reset()
            for each in (storage, naive):
                each.cut(worker)
        else:
            step = play.games[worker].step(events)
            storage.add(step, worker)
            naive.add(step, worker)
        what = data.draw(st.sampled_from(["nothing", "nothing", "chunk", "checkpoint"]))
        if what == "chunk":
            saver.write_chunk(kept_chunks.write)
        elif what == "checkpoint":
            while saver.write_chunk(kept_chunks.write):
                pass
            saved = copied(saver.tensors()), saver.state()
            kept_chunks.chunks = {name: kept_chunks.chunks[name] for name in saver.chunks()}
    while saver.write_chunk(kept_chunks.write):
        pass
    saved = copied(saver.tensors()), saver.state()
    tail = sum(t.nbytes for name, t in saved[0].items() if name.startswith("tail."))
    assert tail < chunk_bytes + 32 * storage.games  # its ranges come on top

    other = storage_for(play)
    theirs = StorageSaver(other, chunk_bytes)
    for name in saved[1]["chunks"]:
        theirs.read_chunk(kept_chunks.chunks[name])
    theirs.restore(*saved)
    assert theirs.chunks() == saver.chunks()
    assert kept(other).tolist() == kept(storage).tolist()
    assert_same(other, naive, kept(other), 3, 0.9)
    # Both go on alike, and are saved alike.
    for worker, events in play.script[:20]:
        if events is not None:
            step = play.games[worker].step(events)
            storage.add(step, worker)
            other.add(step, worker)
            naive.add(step, worker)
    assert_same(other, naive, kept(other), 3, 0.9)
    ours, again = saver.tensors(), theirs.tensors()
    assert ours.keys() == again.keys()
    for name in ours.keys() - {"truncated"}:  # that of steps that have left is not saved
        assert torch.equal(ours[name], again[name])


@settings(max_examples=40)
@given(plays(), st.booleans())
def test_a_restored_dataset_draws_the_same_and_sums_nothing_across_the_gap(play, prioritized):
    def build() -> TransitionReplay:
        storage, rng = storage_for(play), np.random.default_rng(5)
        selector = UniformSelector(storage, rng)
        if prioritized:
            selector = PrioritizedSelector(storage, rng, alpha=0.6, beta=lambda at: 0.4)
        return TransitionReplay(
            storage,
            selector,
            n_step=3,
            gamma=0.9,
            batch_size=8,
            learning_starts=1,
            train_every=5,
            save=True,
        )

    def learn(dataset: TransitionReplay) -> list[dict[str, np.ndarray]]:
        drawn = []
        for batch in dataset.batches(0):
            drawn.append(batch)
            dataset.feedback(batch, {"priority": torch.from_numpy(np.abs(batch["reward"]))})
        return drawn

    ours, theirs = build(), build()
    for worker, events in play.script:
        if events is not None:
            ours.add(play.games[worker].step(events), worker)
            learn(ours)
    theirs.restore(copied(ours.tensors()), ours.state())
    for worker, games in play.games.items():
        ours.cut(worker)
        step = games.step(["go"] * games.num_envs)  # as if its games had just gone on
        for each in (ours, theirs):
            each.add(step, worker)
            shard = each.storage.shards[worker]
            newest = each.storage.columns["is_first"][shard.games, (shard.steps - 1) % play.rows]
            assert newest.all()
    first, second = learn(ours), learn(theirs)
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert one.keys() == other.keys()
        assert all(np.array_equal(one[name], other[name]) for name in one)


def test_what_does_not_fit_says_so_and_changes_nothing():
    small, large = Storage(8, 1, (4, 2, 3)), Storage(16, 1, (4, 2, 3))
    saved = StorageSaver(large)
    with pytest.raises(CheckpointError, match="has another buffer_size; resume with the same"):
        StorageSaver(small).restore(saved.tensors(), saved.state())
    assert len(small) == 0
    with pytest.raises(CheckpointError, match="does not fit"):
        StorageSaver(small).read_chunk(dict.fromkeys(("begin", "end"), torch.tensor([0])))
    tensors = StorageSaver(small).tensors()
    del tensors["written"]
    with pytest.raises(KeyError, match="written"):
        StorageSaver(small).restore(tensors, StorageSaver(small).state())


def test_a_chunk_that_could_not_be_written_is_written_later():
    storage = Storage(64, 1, (1, 2, 3))
    saver, keep = StorageSaver(storage, chunk_bytes=100), Kept()
    games = InventedGames(1, 1, 0, 9)
    for _ in range(10):
        storage.add(games.step(["go"]), 0)

    def full(_: Mapping[str, torch.Tensor]) -> str:
        raise CheckpointError("full")

    before = copied(saver.tensors())
    with pytest.raises(CheckpointError):
        saver.write_chunk(full)
    assert all(torch.equal(before[name], tensor) for name, tensor in saver.tensors().items())
    while saver.write_chunk(keep.write):
        pass
    steps = [(int(c["begin"]), int(c["end"])) for c in keep.chunks.values()]
    assert steps[0][0] == 0
    assert all(end == begin for (_, end), (begin, _) in itertools.pairwise(steps))


def test_killed_at_any_write_the_steps_of_the_last_checkpoint_come_back(tmp_path):
    """One process after the other dies, each a call of the operating system later, and the next
    one goes on from the checkpoint that it finds."""
    games, expected = InventedGames(2, 3, 0, 9), {0: {}}
    call, step, survived = 0, 0, False

    def everything(storage: Storage) -> dict[str, list]:
        index = kept(storage)
        batch = transitions(storage, index, n_step=1, gamma=0.9)
        return {name: array.tolist() for name, array in batch.items()}

    while not survived:
        call += 1
        store, storage = CheckpointStore(tmp_path, keep=2), Storage(40, 2, (3, 2, 3))
        saver = StorageSaver(storage, chunk_bytes=500)
        if list(tmp_path.glob("*.json")):
            checkpoint = store.load_latest()
            for chunk in store.read_chunks(checkpoint):
                saver.read_chunk(chunk)
            saver.restore(checkpoint.tensors, checkpoint.state)
            assert checkpoint.step in (step, step + 1)
            step = checkpoint.step
            assert everything(storage) == expected[step]
        storage.cut(0)
        games.reset()
        with pytest.MonkeyPatch.context() as monkeypatch, contextlib.suppress(Killed):
            die_at(call, monkeypatch)
            for _ in range(6):
                storage.add(games.step(["go", "go"]), 0)
                saver.write_chunk(store.write_chunk)
            expected[step + 1] = everything(storage)
            store.save(step + 1, saver.tensors(), saver.state(), saver.chunks())
            survived = True
    assert len(checkpoint.chunks) > 1
    assert step > 5
