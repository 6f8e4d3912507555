"""Replay against lists of everything that was added."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mario_agents.replay.buffer import UniformReplay
from mario_agents.replay.prioritized import PrioritizedReplay
from mario_envkit.errors import CheckpointError, ConfigError
from tests.agents.replay_reference import NaiveReplay

EVENTS = ("go",) * 6 + ("terminate", "truncate", "both", "lose_life", "jump")


class WorkerEnvs:
    """Invented games: frames of 2x3 pixels from a few colours, so that equal frames are common."""

    def __init__(self, num_envs: int, stack: int, seed: int, colours: int) -> None:
        self.num_envs, self.stack, self.colours = num_envs, stack, colours
        self.rng = np.random.default_rng(seed)
        self.obs = np.stack([self.start() for _ in range(num_envs)])

    def frame(self) -> np.ndarray:
        return self.rng.integers(self.colours, size=(2, 3)).astype(np.uint8)

    def start(self) -> np.ndarray:
        """The first observation of an episode: one frame repeated, or padded with black."""
        stack = np.repeat(self.frame()[None], self.stack, axis=0)
        if self.rng.random() < 0.3:
            stack[:-1] = 0
        return stack

    def restored(self) -> np.ndarray:
        """The first observation after a snapshot was restored: frames that all differ."""
        return np.stack([self.frame() for _ in range(self.stack)])

    def step(self, events: list[str]) -> dict[str, np.ndarray]:
        final = np.concatenate(
            [self.obs[:, 1:], np.stack([self.frame() for _ in events])[:, None]], axis=1
        )
        follow = final.copy()
        for env, event in enumerate(events):
            if event in ("terminate", "truncate", "both"):
                follow[env] = self.start() if self.rng.random() < 0.7 else self.restored()
            elif event in ("lose_life", "jump"):
                follow[env] = self.restored()
        out = {
            "obs": self.obs,
            "action": self.rng.integers(7, size=self.num_envs),
            "reward": self.rng.normal(size=self.num_envs).astype(np.float32),
            "terminated": np.array([e in ("terminate", "both", "lose_life") for e in events]),
            "truncated": np.array([e in ("truncate", "both") for e in events]),
            "final_obs": final,
        }
        self.obs = follow
        return out


def kept(replay: UniformReplay) -> np.ndarray:
    """All indices that can be drawn."""
    pairs = [
        step * replay.num_envs + env
        for env in range(replay.num_envs)
        for step in range(int(replay.first[env]), replay.steps)
    ]
    return np.array(pairs, dtype=np.int64)


def assert_same(replay: UniformReplay, naive: NaiveReplay, index: np.ndarray) -> None:
    batch = replay.batch(index, np.ones(len(index), dtype=np.float32))
    for b, i in enumerate(index):
        expected = naive.transition(int(i))
        assert batch["obs"][b].tobytes() == expected["obs"].tobytes()
        assert batch["next_obs"][b].tobytes() == expected["next_obs"].tobytes()
        assert batch["action"][b] == expected["action"]
        assert batch["reward"][b] == pytest.approx(expected["reward"], abs=1e-5)
        assert batch["discount"][b] == pytest.approx(expected["discount"], abs=1e-6)


@st.composite
def plays(draw):
    num_envs = draw(st.integers(1, 3))
    events = st.lists(st.sampled_from(EVENTS), min_size=num_envs, max_size=num_envs)
    return {
        "games": WorkerEnvs(
            num_envs, draw(st.integers(1, 4)), draw(st.integers(0, 2**32)), draw(st.integers(1, 9))
        ),
        "rows": draw(st.integers(1, 40)),
        "n_step": draw(st.integers(1, 4)),
        "gamma": draw(st.sampled_from([0.0, 0.5, 0.9, 1.0])),
        "script": draw(st.lists(events, min_size=1, max_size=90)),
    }


def build(play, kind=UniformReplay):
    games = play["games"]
    return kind(
        play["rows"] * games.num_envs,
        games.num_envs,
        (games.stack, 2, 3),
        n_step=play["n_step"],
        gamma=play["gamma"],
        rng=np.random.default_rng(0),
    )


@settings(max_examples=150, deadline=None)
@given(plays())
def test_every_transition_comes_back_exactly(play):
    replay, games = build(play), play["games"]
    naive = NaiveReplay(games.num_envs, play["n_step"], play["gamma"])
    for count, events in enumerate(play["script"], start=1):
        step = games.step(events)
        replay.add(**step)
        naive.add(**step)
        fits = replay.store.written <= replay.store.capacity
        assert ((replay.steps - replay.first)[fits] == min(count, play["rows"])).all()
        assert (replay.steps - replay.first >= 1).all()
        if count % 7 == 0 or count == len(play["script"]):
            assert_same(replay, naive, kept(replay))
            assert_same(replay, naive, replay.sample(5)["index"])


@settings(max_examples=75, deadline=None)
@given(plays(), st.lists(st.floats(0, 20, width=32), min_size=1, max_size=5))
def test_prioritized_replay_draws_by_priority(play, errors):
    replay, games = build(play, PrioritizedReplay), play["games"]
    naive = NaiveReplay(games.num_envs, play["n_step"], play["gamma"])
    expected: dict[int, float] = {}
    largest, stale = 1.0, None
    for events in play["script"]:
        step = games.step(events)
        replay.add(**step)
        naive.add(**step)
        for env in range(games.num_envs):
            expected[(replay.steps - 1) * games.num_envs + env] = largest
        indices = kept(replay)
        expected = {i: expected[i] for i in indices.tolist()}
        # Every priority where it belongs, and nothing else in the tree.
        assert replay.tree.total == pytest.approx(sum(expected.values()))
        batch = replay.sample(len(errors))
        assert set(batch["index"].tolist()) <= set(expected)
        assert_same(replay, naive, batch["index"])
        chance = np.array([expected[i] for i in batch["index"].tolist()]) / replay.tree.total
        raw = (len(replay) * chance) ** -0.4
        assert batch["weight"] == pytest.approx(raw / raw.max(), rel=1e-4)
        # Tell the errors one step late: some of these transitions may have left.
        if stale is not None:
            replay.update_priorities(stale, np.array(errors, dtype=np.float32))
            for i, error in zip(stale.tolist(), errors, strict=True):
                priority = (np.float64(np.float32(error)) + 1e-6) ** 0.6
                largest = max(largest, priority)
                if i in expected:
                    expected[i] = priority
        stale = batch["index"]


@settings(max_examples=40, deadline=None)
@given(plays(), st.integers(0, 89), st.sampled_from([UniformReplay, PrioritizedReplay]))
def test_a_loaded_buffer_goes_on_like_the_saved_one(play, at, kind):
    replay, games = build(play, kind), play["games"]
    at = min(at, len(play["script"]) - 1)
    for events in play["script"][: at + 1]:
        replay.add(**games.step(events))
    if kind is PrioritizedReplay:
        index = replay.sample(3)["index"]
        replay.update_priorities(index, np.array([3.0, 0.1, 0.5], dtype=np.float32))
    other = build(play, kind)
    other.load_state_dict({name: array.copy() for name, array in replay.state_dict().items()})
    other.rng.bit_generator.state = replay.rng.bit_generator.state
    for events in play["script"][at + 1 :]:
        step = games.step(events)
        replay.add(**step)
        other.add(**step)
    ours, theirs = replay.sample(16), other.sample(16)
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_loading_what_does_not_fit_says_so_and_changes_nothing():
    def make(rows):
        rng = np.random.default_rng(0)
        return UniformReplay(rows, 1, (4, 2, 3), n_step=1, gamma=0.9, rng=rng)

    small, large = make(8), make(16)
    large.add(**WorkerEnvs(1, 4, 0, 9).step(["go"]))
    with pytest.raises(CheckpointError, match="does not fit"):
        small.load_state_dict(large.state_dict())
    assert len(small) == 0
    state = make(8).state_dict()
    del state["written"]
    with pytest.raises(CheckpointError, match="'written'"):
        small.load_state_dict(state)


def test_cut_ends_the_running_episodes_as_truncated():
    rng = np.random.default_rng(0)
    replay = UniformReplay(20, 2, (1, 2, 3), n_step=3, gamma=0.5, rng=rng)
    games = WorkerEnvs(2, 1, 3, colours=1)  # all frames are equal: only the cut can tell
    for events in (["go", "go"], ["go", "terminate"]):
        replay.add(**games.step(events) | {"reward": np.ones(2, dtype=np.float32)})
    replay.cut()
    replay.add(**games.step(["go", "go"]) | {"reward": np.full(2, 100, dtype=np.float32)})
    batch = replay.batch(np.array([0, 1]), np.ones(2, dtype=np.float32))
    assert batch["reward"].tolist() == [1.5, 1.5]
    assert batch["discount"].tolist() == [0.25, 0.0]


def test_uniform_replay_draws_all_and_only_what_is_there():
    rng = np.random.default_rng(0)
    replay = UniformReplay(24, 3, (2, 2, 3), n_step=2, gamma=0.9, rng=rng)
    with pytest.raises(ValueError, match="empty"):
        replay.sample(1)
    games = WorkerEnvs(3, 2, 0, 5)
    for _ in range(30):
        replay.add(**games.step(["go"] * 3))
    drawn, counts = np.unique(replay.sample(24_000)["index"], return_counts=True)
    assert drawn.tolist() == sorted(kept(replay).tolist())
    assert counts.min() > 850  # 1000 expected, standard deviation 31
    assert counts.max() < 1150


def test_a_truncated_final_observation_is_stored_once():
    rng = np.random.default_rng(0)
    replay = UniformReplay(50, 1, (4, 2, 3), n_step=1, gamma=0.9, rng=rng)
    marker = np.full((2, 3), 250, dtype=np.uint8)
    games = WorkerEnvs(1, 4, 1, 9)
    for count in range(10):
        step = games.step(["truncate" if count == 4 else "go"])
        if count == 4:
            step["final_obs"][0, -1] = marker
        replay.add(**step)
    frames = replay.store.frames[0].reshape(-1, 6)
    assert (frames == 250).all(axis=1).sum() == 1
    batch = replay.batch(np.array([4]), np.ones(1, dtype=np.float32))
    assert np.array_equal(batch["next_obs"][0, -1], marker)
    assert batch["discount"][0] == np.float32(0.9)


@pytest.mark.parametrize("num_envs", [1, 8, 16])
def test_memory_of_100_000_transitions_stays_under_0_8_gb(num_envs):
    rng = np.random.default_rng(0)
    replay = PrioritizedReplay(100_000, num_envs, (4, 84, 84), n_step=3, gamma=0.9, rng=rng)
    assert replay.rows * num_envs == 100_000
    assert replay.nbytes < 0.8e9
    if num_envs == 8:  # the figures in the docstring of UniformReplay
        assert round(replay.nbytes / 1e6, 1) == 756.8
        assert round((replay.nbytes - replay.tree.nbytes) / 1e6, 1) == 754.7


def test_too_small_a_buffer_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ConfigError, match="at least one transition of each of the 8"):
        UniformReplay(7, 8, (4, 84, 84), n_step=1, gamma=0.9, rng=rng)
