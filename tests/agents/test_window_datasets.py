"""Which sequences and unrolls are learned from, and how often."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mario_agents.core.types import Step
from mario_agents.replay.sequence_replay import SequenceReplay
from mario_agents.replay.storage import Storage
from mario_agents.replay.unroll_queue import UnrollQueue
from mario_agents.replay.windows import sequences, unrolls
from mario_envkit.errors import ConfigError
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
    before = sequences(storage, batch["index"][:, 0], 5, extras=["state"])["state"]
    state = 1 + torch.arange(3 * 4 * 2).reshape(3, 4, 2).to(torch.float16)
    replay.feedback(batch, {"state": state, "loss": torch.zeros(())})
    other = sequence_replay(Storage(80, 2, (1, 2, 3), extras=EXTRAS), online=False)
    saved = {name: tensor.clone() for name, tensor in replay.tensors().items()}
    other.restore(saved, replay.state())
    for each in (replay, other):
        there = sequences(each.storage, batch["index"][:, 0], 5, extras=["state"])
        # Sequences may overlap: then the last one counts.
        assert np.array_equal(
            there["state"][2, 1:], np.where(there["is_last"][2, 1:, None], 0, state[2])
        )
        overlap = np.isin(batch["index"][2, 0], batch["index"][:2, 1:])
        assert overlap or np.array_equal(there["state"][2, 0], before[2, 0])
    replay.cut(0)
    assert all(
        np.array_equal(ours["index"], theirs["index"])
        for ours, theirs in zip(replay.batches(0), other.batches(0), strict=True)
    )


def test_what_was_refreshed_since_a_batch_was_drawn_stays():
    """Of two batches that were drawn together, one ends where the other one begins."""
    games, storage = InventedGames(1, 1, 0, 9), Storage(80, 1, (1, 2, 3), extras=EXTRAS)
    replay = sequence_replay(storage, batch_size=1, length=2, train_every=2)
    for _ in range(5):
        replay.add(games.step(["go"]), 0)
    first, second = replay.batches(0)  # drawn ahead, as for a device
    assert first["index"][0, -1] == second["index"][0, 0]
    for value, batch in ((1.0, first), (2.0, second)):
        replay.feedback(batch, {"state": torch.full((1, 2, 2), value, dtype=torch.float16)})
    found = sequences(storage, first["index"][:, 0], 5, extras=["state"])["state"]
    assert found[0, 1:, 0].tolist() == [1.0, 1.0, 2.0, 2.0]


def test_no_batch_is_due_before_there_is_a_sequence():
    games, storage = InventedGames(1, 1, 0, 9), Storage(40, 1, (1, 2, 3))
    replay = sequence_replay(storage)
    for count in range(1, 10):
        replay.add(games.step(["go"]), 0)
        assert len(list(replay.batches(0))) == (0 if count < 5 else 1)


class NaiveQueue:
    """Lists of unrolls, in the order in which they were complete."""

    def __init__(self, play: Play, length: int) -> None:
        self.length, self.order = length, list(play.games)
        self.growing: dict[int, list[tuple[int, Step]]] = {worker: [] for worker in self.order}
        self.unrolls: list[tuple[int, np.ndarray]] = []
        """First step, as the storage calls it, and the state there, for every game."""

    def add(self, worker: int, number: int, step: Step, games: int) -> None:
        growing = self.growing[worker]
        growing.append((number, step))
        if len(growing) == self.length:
            first, begin = growing[0]
            for env, state in enumerate(begin.extras["state"]):
                game = self.order.index(worker) * len(step.action) + env
                self.unrolls.append((first * games + game, state))
            growing.clear()


@settings(max_examples=80)
@given(plays(), st.integers(1, 5), st.integers(1, 4), st.integers(0, 2), st.integers(1, 7))
def test_each_unroll_is_learned_from_once_in_order_unless_overwritten(
    play: Play, length, size, old, asked_every
):
    length = min(length, play.rows)
    storage, naive = storage_for(play), NaiveQueue(play, length)
    queue = UnrollQueue(
        storage,
        np.random.default_rng(0),
        length=length,
        batch_size=size,
        replayed=old,
        initial={"state": EXTRAS["state"]},
    )
    seen: list[int] = []
    for turn, (worker, events) in enumerate(play.script):
        if events is None:
            play.games[worker].reset()
            queue.cut(worker)
            naive.growing[worker].clear()
        else:
            step, number = play.games[worker].step(events), storage.shards[worker].steps
            queue.add(step, worker)
            naive.add(worker, number, step, storage.games)
        if turn % asked_every:
            continue
        states = dict(naive.unrolls)
        for batch in queue.batches(0):
            assert batch["is_replayed"].tolist() == [False] * size + [True] * old
            start = batch["index"][0]
            assert storage.present(start).all()
            again = unrolls(storage, start, length, extras=storage.extras)
            again |= {"state": np.stack([states[index] for index in start])}
            assert all(np.array_equal(again[name], batch[name]) for name in again)
            assert (batch["weight"] == 1).all()
            seen += start[:size].tolist()
        assert len(queue) < size
    rest = iter([index for index, _ in naive.unrolls])
    for index in [*seen, *queue._waiting.tolist()]:  # a subsequence
        assert any(index == each for each in rest)
    assert len(naive.unrolls) == len(seen) + len(queue) + queue.dropped
    # The last picture of an episode takes a row of its own.
    if play.rows >= 2 * (length * (1 + size) + asked_every) and len(play.games) == 1:
        assert queue.dropped == 0


def queue_of(length: int = 5, **options) -> tuple[InventedGames, UnrollQueue]:
    """Two games, with room for four unrolls of each, in batches of one new unroll of each."""
    games, storage = InventedGames(2, 1, 0, 9), Storage(8 * length, 2, (1, 2, 3))
    rng = np.random.default_rng(0)
    return games, UnrollQueue(storage, rng, length=length, batch_size=2, **options)


def test_old_unrolls_are_all_whole_ones_that_are_there():
    games, queue = queue_of(replayed=100)
    for _ in range(32):
        queue.add(games.step(["go", "go"]), 0)
    drawn = {i for batch in queue.batches(0) for i in batch["index"][0, 2:].tolist()}
    assert drawn == {step * 2 + game for step in (15, 20, 25) for game in (0, 1)}
    assert queue.dropped == 6  # three unrolls of each game have left before a batch was made


def test_surprising_unrolls_are_drawn_more_often_and_count_less():
    games, queue = queue_of(replayed=2_000, alpha=1.0, beta=1.0)
    for _ in range(10):
        queue.add(games.step(["go", "go"]), 0)
    batch = next(queue.batches(0))
    start = batch["index"][0]
    surprise = {0: 1.0, 1: 2.0, 10: 3.0, 11: 4.0}
    priority = torch.tensor([surprise[int(index)] for index in start])
    queue.feedback(batch, {"priority": priority})
    batch = next(queue.batches(0))
    old, weight = batch["index"][0, 2:], batch["weight"][2:]
    share = {index: float((old == index).mean()) for index in surprise}
    for index, expected in surprise.items():
        assert abs(share[index] - expected / 10) < 0.05
        np.testing.assert_allclose(weight[old == index], 1.0 / expected, rtol=1e-5)
    assert (batch["weight"][:2] == 1).all()
    for _ in range(5):  # what is new counts as much as the most surprising one
        queue.add(games.step(["go", "go"]), 0)
    batch = next(queue.batches(0))
    assert abs(float((batch["index"][0, 2:] == 20).mean()) - 4 / 18) < 0.05


def test_an_unroll_that_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match="room for 3 of each of the 2 environments"):
        UnrollQueue(Storage(7, 2, (1, 2, 3)), np.random.default_rng(0), length=4, batch_size=2)
