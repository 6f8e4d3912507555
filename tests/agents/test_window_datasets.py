"""Which sequences and unrolls are learned from, and how often."""

from __future__ import annotations

from collections import Counter

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mario_agents.replay.sequence_replay import SequenceReplay
from mario_agents.replay.storage import Storage
from mario_agents.replay.unroll_queue import UnrollQueue
from mario_agents.replay.windows import sequences, unrolls
from tests.agents.replay_reference import EXTRAS, InventedGames, Play, plays
from tests.agents.test_replay import storage_for


def sequence_replay(storage: Storage, **options) -> SequenceReplay:
    defaults = {
        "batch_size": 3,
        "length": 4,
        "context": 1,
        "online": True,
        "learning_starts": 1,
        "train_every": storage.num_envs,
        "save": True,
    }
    return SequenceReplay(storage, np.random.default_rng(0), **{**defaults, **options})


@settings(max_examples=60)
@given(plays(), st.integers(1, 4), st.integers(0, 2), st.booleans(), st.integers(1, 4))
def test_sequences_are_drawn_from_what_is_there(play: Play, length, context, online, batch_size):
    storage = storage_for(play)
    whole = length + context
    replay = sequence_replay(
        storage, length=length, context=context, online=online, batch_size=batch_size
    )
    for worker, events in play.script:
        if events is None:
            play.games[worker].reset()
            replay.cut(worker)
            continue
        replay.add(play.games[worker].step(events), worker)
        for batch in replay.batches(0):
            assert batch["obs"].shape == (batch_size, whole, *play.obs_shape)
            start = batch["index"][:, 0]
            assert storage.present(start).all()
            step, game = storage.locate(start)
            assert (step + whole <= storage.ends()[game]).all()
            assert (batch["is_first"][:, 0] | (step > storage.first[game])).all()
            again = sequences(storage, start, whole, extras=list(EXTRAS))
            assert all(np.array_equal(again[name], batch[name]) for name in again)


def test_online_every_step_is_learned_from_once_and_the_rest_of_a_batch_is_drawn():
    games, storage = InventedGames(2, 1, 0, 9), Storage(400, 2, (1, 2, 3))
    replay = sequence_replay(storage, batch_size=4, train_every=2)
    online: Counter[int] = Counter()
    for _ in range(100):
        replay.add(games.step(["go", "go"]), 0)
        before = replay._next.copy()
        for batch in replay.batches(0):
            new = int((replay._next > before).sum())
            assert new in (0, 2)  # both games have four new steps at the same time
            online.update(batch["index"][:new, 1:].ravel().tolist())
    everything = {step * 2 + game for step in range(1, 100) for game in (0, 1)}
    left = everything - set(online)
    assert set(online.values()) == {1}
    assert all(index // 2 >= 96 for index in left)  # those that are no whole sequence yet


def test_an_online_queue_goes_on_where_every_step_ends_an_episode():
    games, storage = InventedGames(1, 1, 0, 9), Storage(40, 1, (1, 2, 3))
    replay = sequence_replay(storage, length=1, context=1, batch_size=1)
    for _ in range(30):
        replay.add(games.step(["terminate"]), 0)
        assert all(batch["is_last"][0, 1] for batch in replay.batches(0))
    assert replay._next[0] > 20


def test_recurrent_states_are_refreshed_and_saved():
    games, storage = InventedGames(2, 1, 0, 9), Storage(80, 2, (1, 2, 3), extras=EXTRAS)
    replay = sequence_replay(storage, online=False)
    for events in (["go", "go"],) * 9 + (["terminate", "go"],) + (["go", "go"],) * 9:
        replay.add(games.step(events), 0)
    batch = next(replay.batches(0))
    state = torch.arange(3 * 5 * 2).reshape(3, 5, 2).to(torch.float16)
    replay.feedback(batch, {"state": state, "loss": torch.zeros(())})
    other = sequence_replay(Storage(80, 2, (1, 2, 3), extras=EXTRAS), online=False)
    saved = {name: tensor.clone() for name, tensor in replay.tensors().items()}
    other.restore(saved, replay.state())
    for each in (replay, other):
        there = sequences(each.storage, batch["index"][:, 0], 5, extras=["state"])
        # Sequences may overlap: then the last one counts.
        assert np.array_equal(
            there["state"][2], np.where(there["is_last"][2, :, None], 0, state[2])
        )
    replay.cut(0)
    assert all(
        np.array_equal(ours["index"], theirs["index"])
        for ours, theirs in zip(replay.batches(0), other.batches(0), strict=True)
    )


def test_no_batch_is_due_before_there_is_a_sequence():
    games, storage = InventedGames(1, 1, 0, 9), Storage(40, 1, (1, 2, 3))
    replay = sequence_replay(storage)
    for count in range(1, 10):
        replay.add(games.step(["go"]), 0)
        assert len(list(replay.batches(0))) == (0 if count < 5 else 1)


@settings(max_examples=60)
@given(plays(), st.integers(1, 5), st.sampled_from([0.0, 0.5, 1.0]), st.integers(1, 7))
def test_each_unroll_is_learned_from_once_in_order_unless_overwritten(
    play: Play, length, replayed, asked_every
):
    storage = storage_for(play)
    queue = UnrollQueue(
        storage,
        np.random.default_rng(0),
        length=length,
        batch_size=play.num_envs,
        replayed=replayed,
        initial=["state"],
    )
    counts = dict.fromkeys(play.games, 0)
    expected: list[np.ndarray] = []
    seen: list[np.ndarray] = []
    old = round(replayed * play.num_envs)
    for turn, (worker, events) in enumerate(play.script):
        if events is None:
            queue.cut(worker)
            continue
        added = storage.ends()[list(play.games).index(worker) * play.num_envs]
        queue.add(play.games[worker].step(events), worker)
        counts[worker] += 1
        if counts[worker] % length == 0:
            games = list(play.games).index(worker) * play.num_envs + np.arange(play.num_envs)
            expected.append((added - length + 1) * storage.games + games)
        if turn % asked_every:
            continue
        for batch in queue.batches(0):
            assert batch["is_replayed"].tolist() == [False] * play.num_envs + [True] * old
            assert storage.present(batch["index"]).all()
            assert batch["state"].shape == (play.num_envs + old, 2)
            assert batch["value"].shape == (length, play.num_envs + old)
            again = unrolls(storage, batch["index"][0], length, extras=["value"], initial=["state"])
            assert all(np.array_equal(again[name], batch[name]) for name in again)
            seen.append(batch["index"][0, : play.num_envs])
        assert len(queue) == 0
    seen += list(queue._waiting)
    rest = iter(expected)
    for index in seen:  # a subsequence
        assert any(np.array_equal(index, each) for each in rest)
    assert (len(expected) - len(seen)) * play.num_envs == queue.dropped
    if play.rows >= length + asked_every:
        assert queue.dropped == 0


def test_old_unrolls_are_any_that_are_there():
    games, storage = InventedGames(2, 1, 0, 9), Storage(40, 2, (1, 2, 3))
    queue = UnrollQueue(storage, np.random.default_rng(0), length=5, batch_size=2, replayed=50.0)
    for _ in range(30):
        queue.add(games.step(["go", "go"]), 0)
    drawn = {i for batch in queue.batches(0) for i in batch["index"][0, 2:].tolist()}
    assert drawn == {step * 2 + game for step in range(10, 26) for game in (0, 1)}
    assert queue.dropped == 4  # two unrolls of each game do not fit
