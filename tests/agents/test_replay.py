"""Storage, selectors and transitions against lists of everything that was added."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mario_agents.replay.selectors import PrioritizedSelector, UniformSelector
from mario_agents.replay.storage import Storage
from mario_agents.replay.transitions import ValueErrors, transitions
from mario_envkit.errors import ConfigError
from tests.agents.replay_reference import EXTRAS, InventedGames, NaiveReplay, Play, plays


def storage_for(play: Play) -> Storage:
    return Storage(
        play.rows * play.num_envs * len(play.games),
        play.num_envs,
        play.obs_shape,
        workers=list(play.games),
        stacked=play.stacked,
        extras=EXTRAS,
    )


def kept(storage: Storage) -> np.ndarray:
    """All indices that can be drawn."""
    ends = storage.ends()
    pairs = [
        step * storage.games + game
        for game in range(storage.games)
        for step in range(int(storage.first[game]), int(ends[game]))
    ]
    return np.array(pairs, dtype=np.int64)


def assert_same(storage: Storage, naive: NaiveReplay, index: np.ndarray, n_step, gamma) -> None:
    batch = transitions(storage, index, n_step=n_step, gamma=gamma)
    step, game = storage.locate(index)
    for b, i in enumerate(index.tolist()):
        expected = naive.transition(i, n_step, gamma)
        assert batch["obs"][b].tobytes() == expected["obs"].tobytes()
        assert batch["next_obs"][b].tobytes() == expected["next_obs"].tobytes()
        assert batch["action"][b] == expected["action"]
        assert batch["reward"][b] == pytest.approx(expected["reward"], abs=1e-5)
        assert batch["discount"][b] == pytest.approx(expected["discount"], abs=1e-6)
        history, number = naive.at(i)
        row = step[b] % storage.rows
        assert storage.columns["is_first"][game[b], row] == history[number].is_first
        for name, value in history[number].extras.items():
            assert np.array_equal(storage.columns[name][game[b], row], value)


@settings(max_examples=100)
@given(plays(), st.integers(1, 4), st.sampled_from([0.0, 0.5, 0.9, 1.0]))
def test_every_transition_comes_back_exactly(play, n_step, gamma):
    storage = storage_for(play)
    naive = NaiveReplay(play.num_envs, list(play.games))
    selector = UniformSelector(storage, np.random.default_rng(0))
    for count, (worker, events) in enumerate(play.script, start=1):
        if events is None:
            play.games[worker].reset()
            for each in (storage, naive):
                each.cut(worker)
        else:
            step = play.games[worker].step(events)
            storage.add(step, worker)
            naive.add(step, worker)
        # First in, first out: the newest steps of each game, all that fit.
        lengths = np.array([len(history) for history in naive.games])
        assert storage.ends().tolist() == lengths.tolist()
        fits = storage.frames.written <= storage.frames.capacity
        assert (storage.sizes()[fits] == np.minimum(lengths, play.rows)[fits]).all()
        assert (storage.sizes() >= np.minimum(lengths, 1)).all()
        if count % 7 == 0 or count == len(play.script):
            assert_same(storage, naive, kept(storage), n_step, gamma)
            index, weight = selector.select(5, 0)
            assert weight.tolist() == [1.0] * 5
            assert_same(storage, naive, index, n_step, gamma)


@settings(max_examples=60)
@given(plays(), st.integers(0, 2**32))
def test_a_uniform_draw_from_all_shards_is_one_from_a_list_of_all_steps(play, seed):
    storage = storage_for(play)
    for worker, events in play.script:
        if events is not None:
            storage.add(play.games[worker].step(events), worker)
    drawn = UniformSelector(storage, np.random.default_rng(seed)).select(20, 0)[0]
    everything = kept(storage)  # game by game, each from its oldest step to its newest
    plain = np.random.default_rng(seed).integers(len(everything), size=20)
    assert drawn.tolist() == everything[plain].tolist()


N_STEP, GAMMA = 2, 0.9


@settings(max_examples=100)
@given(plays(), st.lists(st.floats(0, 20, width=32), min_size=1, max_size=5), st.booleans())
def test_prioritized_steps_are_drawn_by_priority(play, errors, by_values):
    """Every priority is that of its own step: the largest so far, or by the values that came with
    it, then what the learner said; also after others left, and workers were replaced."""
    storage = storage_for(play)
    naive = NaiveReplay(play.num_envs, list(play.games))
    initial = ValueErrors(storage, n_step=N_STEP, gamma=GAMMA) if by_values else None
    assume(storage.rows > N_STEP)
    selector = PrioritizedSelector(
        storage,
        np.random.default_rng(0),
        alpha=0.6,
        beta=lambda at: 0.4 + at / 1000,
        initial=initial,
    )
    expected: dict[int, float] = {}
    largest, stale = 1.0, None
    for at, (worker, events) in enumerate(play.script):
        if events is None:
            play.games[worker].reset()
            for each in (storage, naive):
                each.cut(worker)
            continue
        step = play.games[worker].step(events)
        storage.add(step, worker)
        naive.add(step, worker)
        if at % 3 == 1:
            continue  # several steps may come between two draws
        before = largest
        here = {}
        for i in kept(storage).tolist():
            error = naive.error(i, N_STEP, GAMMA) if by_values else None
            if i in expected or not by_values:
                here[i] = expected.get(i, before)
            elif error is not None:
                here[i] = (abs(error) + 1e-6) ** 0.6
                largest = max(largest, here[i])
        expected = here
        assert len(selector) == len(expected)
        if not expected:
            with pytest.raises(ValueError, match="Nothing to sample"):
                selector.select(1, at)
            continue
        index, weight = selector.select(len(errors), at)
        # Every priority where it belongs, and nothing else in the trees.
        assert selector.trees.total == pytest.approx(sum(expected.values()))
        order = sorted(expected, key=lambda i: (i % storage.games, i // storage.games % play.rows))
        leaves = [i % storage.games * storage.rows + i // storage.games % play.rows for i in order]
        priorities = [expected[i] for i in order]
        assert selector.trees[np.array(leaves)] == pytest.approx(priorities, rel=1e-4, abs=1e-5)
        assert set(index.tolist()) <= set(expected)
        # Stratified: draw b falls into share b of the priorities, game by game and row by row.
        upper = np.cumsum(priorities)
        shares = np.arange(len(errors) + 1) / len(errors) * upper[-1]
        place = np.array([order.index(i) for i in index.tolist()])
        assert (upper[place] >= shares[:-1] * (1 - 1e-4) - 1e-5).all()
        assert ((upper - priorities)[place] <= shares[1:] * (1 + 1e-4) + 1e-5).all()
        assert_same(storage, naive, index, N_STEP, GAMMA)
        chance = np.array([expected[i] for i in index.tolist()]) / selector.trees.total
        raw = (len(expected) * chance) ** -(0.4 + at / 1000)
        assert weight == pytest.approx(raw / raw.max(), rel=1e-3)
        assert selector.gauges() == {"beta": 0.4 + at / 1000}
        # Tell the errors one step late: some of these steps may have left.
        if stale is not None:
            selector.feedback(stale, np.array(errors, dtype=np.float32))
            for i, error in zip(stale.tolist(), errors, strict=True):
                priority = (np.float64(np.float32(error)) + 1e-6) ** 0.6
                largest = max(largest, priority)
                if i in expected:
                    expected[i] = priority
        stale = index


def test_steps_whose_priorities_come_too_late_are_refused():
    storage = Storage(6, 2, (2, 2, 3), extras=EXTRAS)
    initial = ValueErrors(storage, n_step=3, gamma=0.9)
    with pytest.raises(ConfigError, match=r"3 steps of each of 2 environments.* more than 3"):
        PrioritizedSelector(
            storage, np.random.default_rng(0), alpha=0.6, beta=float, initial=initial
        )


@settings(max_examples=40)
@given(plays())
def test_written_values_go_where_they_belong_and_nowhere_else(play):
    storage = storage_for(play)
    index = []
    for worker, events in play.script:
        if events is not None:
            added = storage.add(play.games[worker].step(events), worker)
            index += [added.step * storage.games + g for g in range(*added.games.indices(10**9))]
    expected = storage.columns["state"].copy()
    some = np.array([*index[::2], -1])
    values = np.arange(2 * len(some)).reshape(-1, 2).astype(np.float16)
    storage.write("state", some, values)
    for i, value in zip(some.tolist(), values, strict=True):
        step, game = divmod(i, storage.games)
        if i >= 0 and step >= storage.first[game]:
            expected[game, step % storage.rows] = value
    assert np.array_equal(storage.columns["state"], expected)


def test_a_cut_worker_is_cut_alone():
    games = InventedGames(1, 1, 3, colours=1)  # all frames are equal: only the cut can tell
    storage = Storage(20, 1, (1, 2, 3), workers=[0, 1])
    for reward in (1, 1, 100):
        for worker in (0, 1):
            step = games.step(["go"])._replace(reward=np.array([reward], dtype=np.float32))
            step = step._replace(is_first=np.zeros(1, dtype=np.bool_))
            if reward == 100 and worker == 1:
                storage.cut(1)
            storage.add(step, worker)
    batch = transitions(storage, np.array([0, 1]), n_step=3, gamma=0.5)
    assert batch["reward"].tolist() == [26.5, 1.5]
    assert batch["discount"].tolist() == [0.125, 0.25]
    assert storage.columns["is_first"][:, :3].tolist() == [
        [True, False, False],
        [True, False, True],
    ]


def test_uniform_draws_reach_all_and_only_what_is_there():
    storage = Storage(24, 3, (2, 2, 3))
    selector = UniformSelector(storage, np.random.default_rng(0))
    with pytest.raises(ValueError, match="Nothing to sample"):
        selector.select(1, 0)
    games = InventedGames(3, 2, 0, 5)
    for _ in range(30):
        storage.add(games.step(["go"] * 3), 0)
    drawn, counts = np.unique(selector.select(24_000, 0)[0], return_counts=True)
    assert drawn.tolist() == sorted(kept(storage).tolist())
    assert counts.min() > 850  # 1000 expected, standard deviation 31
    assert counts.max() < 1150


def test_a_truncated_final_observation_is_stored_once():
    storage = Storage(50, 1, (4, 2, 3))
    marker = np.full((2, 3), 250, dtype=np.uint8)
    games = InventedGames(1, 4, 1, 9)
    for count in range(10):
        step = games.step(["truncate" if count == 4 else "go"])
        if count == 4:
            step.final_obs[0, -1] = marker
        storage.add(step, 0)
    frames = storage.frames.frames[0].reshape(-1, 6)
    assert (frames == 250).all(axis=1).sum() == 1
    batch = transitions(storage, np.array([4]), n_step=1, gamma=0.9)
    assert np.array_equal(batch["next_obs"][0, -1], marker)
    assert batch["discount"][0] == np.float32(0.9)


def test_rows_of_a_picture_are_no_frames():
    """With frame_stack = 1 an observation has no axis of frames: nothing of it is shared."""
    games = InventedGames(2, None, 0, 9)
    storage = Storage(20, 2, games.obs_shape, stacked=False)
    steps = [games.step(["go", "go"]) for _ in range(4)]
    for step in steps:
        storage.add(step, 0)
    batch = transitions(storage, np.arange(6), n_step=1, gamma=0.9)
    assert np.array_equal(batch["obs"], np.concatenate([step.obs for step in steps[:3]]))
    assert np.array_equal(batch["next_obs"], np.concatenate([step.obs for step in steps[1:]]))
    assert storage.frames.written.tolist() == [5, 5]  # one frame for each step, and the first


@pytest.mark.parametrize("num_envs", [1, 8, 16])
def test_memory_of_100_000_steps_stays_under_0_8_gb(num_envs):
    storage = Storage(100_000, num_envs, (4, 84, 84))
    assert storage.rows * num_envs == 100_000
    trees = PrioritizedSelector(storage, np.random.default_rng(0), alpha=0.6, beta=float).trees
    assert storage.nbytes + trees.nbytes < 0.8e9
    if num_envs == 8:  # the figures in the docstring of Storage
        assert round(storage.nbytes / 1e6, 1) == 754.8


def test_short_episodes_fit_if_asked_for_and_a_cleared_storage_begins_anew():
    games, few = InventedGames(2, 4, 0, 200), Storage(40, 2, (4, 2, 3))
    storage = Storage(40, 2, (4, 2, 3), extras=EXTRAS, short_episodes=True)
    for _ in range(3):
        naive = NaiveReplay(2, [0])
        for _ in range(20):
            step = games.step(["terminate", "jump"])
            for each in (storage, few, naive):
                each.add(step, 0)
        assert len(storage) == 40
        assert_same(storage, naive, np.arange(40), 2, 0.9)
        storage.clear()
        assert len(storage) == 0
    assert len(few) < 40


def test_too_small_a_storage_is_refused():
    with pytest.raises(ConfigError, match="at least one step of each of the 8"):
        Storage(7, 4, (4, 84, 84), workers=[0, 1])
