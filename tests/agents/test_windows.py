"""Sequences and unrolls against lists of everything that was added."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mario_agents.replay.selectors import draw_starts
from mario_agents.replay.storage import Storage
from mario_agents.replay.windows import sequences, unrolls
from tests.agents.replay_reference import EXTRAS, InventedGames, NaiveReplay, Play, plays
from tests.agents.test_replay import storage_for


def played(play: Play) -> tuple[Storage, NaiveReplay]:
    storage, naive = storage_for(play), NaiveReplay(play.num_envs, list(play.games))
    for worker, events in play.script:
        if events is None:
            play.games[worker].reset()
            for each in (storage, naive):
                each.cut(worker)
        else:
            step = play.games[worker].step(events)
            storage.add(step, worker)
            naive.add(step, worker)
    return storage, naive


def windows(storage: Storage, first: np.ndarray, length: int) -> list[int]:
    """All that can be drawn, game by game."""
    return [
        step * storage.games + game
        for game in range(storage.games)
        for step in range(int(first[game]), int(storage.ends()[game]) - length + 1)
    ]


@settings(max_examples=60)
@given(plays(), st.integers(1, 8), st.integers(0, 99))
def test_starts_are_drawn_with_equal_chances_from_all_shards(play, length, seed):
    storage, _ = played(play)
    possible = windows(storage, storage.first, length)
    rng = np.random.default_rng(seed)
    if not possible:
        with pytest.raises(ValueError, match=f"no game has {length} steps"):
            draw_starts(storage, rng, 3, length=length)
        return
    drawn = draw_starts(storage, rng, 20, length=length)
    plain = np.random.default_rng(seed).integers(len(possible), size=20)
    assert drawn.tolist() == np.array(possible)[plain].tolist()


@settings(max_examples=50)
@given(plays(), st.integers(1, 8))
def test_unrolls_are_the_steps_one_after_the_other(play, length):
    storage, naive = played(play)
    possible = windows(storage, storage.first, length)
    assume(possible)
    start = np.array(possible)
    batch = unrolls(storage, start, length, extras=["value"])
    cut = dict(zip(batch["cut"].tolist(), batch["cut_obs"], strict=True))
    for b, index in enumerate(possible):
        history, number = naive.at(index)
        steps = history[number : number + length]
        assert np.array_equal(batch["obs"][-1, b], steps[-1].final_obs)
        for t, step in enumerate(steps):
            assert np.array_equal(batch["obs"][t, b], step.obs)
            assert batch["index"][t, b] == index + t * storage.games
            assert batch["value"][t, b] == step.extras["value"]
            for name in ("action", "terminated", "truncated", "is_first"):
                assert batch[name][t, b] == getattr(step, name)
            assert batch["reward"][t, b] == np.float32(step.reward)
            # What is not the next observation is said wherever it counts.
            goes_on = np.array_equal(batch["obs"][t + 1, b], step.final_obs)
            assert goes_on or step.ended
            if step.truncated:
                assert np.array_equal(cut.pop(t * len(start) + b), step.final_obs)
            if step.ended and t < length - 1:
                assert batch["is_first"][t + 1, b]
    assert not cut


def naive_sequence(history, number, length):
    """Entries from step ``number`` on: observation by observation."""
    entries = []
    for k in range(number, number + length):
        step = history[k]
        with_it = 0.0 if step.is_first else history[k - 1].reward
        entries.append(
            (step.obs, step.action, with_it, step.is_first, False, False, k, step.extras)
        )
        if step.ended:
            nothing = {name: np.zeros(shape) for name, (shape, _) in EXTRAS.items()}
            end = (step.final_obs, 0, step.reward, False, True, step.terminated, None, nothing)
            entries.append(end)
    return entries[:length]


@settings(max_examples=80)
@given(plays(), st.integers(1, 8))
def test_sequences_have_every_observation_once_and_say_where_episodes_end(play, length):
    storage, naive = played(play)
    possible = windows(storage, storage.first + (storage.first > 0), length)
    assume(possible)
    batch = sequences(storage, np.array(possible), length, extras=list(EXTRAS))
    for b, index in enumerate(possible):
        history, number = naive.at(index)
        for k, entry in enumerate(naive_sequence(history, number, length)):
            obs, action, reward, is_first, is_last, is_terminal, step, extras = entry
            assert np.array_equal(batch["obs"][b, k], obs)
            assert batch["action"][b, k] == action
            assert batch["reward"][b, k] == np.float32(reward)
            assert batch["is_first"][b, k] == is_first
            assert batch["is_last"][b, k] == is_last
            assert batch["is_terminal"][b, k] == is_terminal
            game = index % storage.games
            assert batch["index"][b, k] == (-1 if is_last else step * storage.games + game)
            for name, value in extras.items():
                assert np.array_equal(batch[name][b, k], value)


def test_a_sequence_over_an_end_by_hand():
    games = InventedGames(1, 1, 0, 200)
    storage = Storage(20, 1, (1, 2, 3))
    steps = [games.step([event]) for event in ("go", "terminate", "go", "truncate", "go", "go")]
    for step in steps:
        storage.add(step, 0)
    batch = sequences(storage, np.array([1]), 5)
    shown = [steps[1].obs, steps[1].final_obs, steps[2].obs, steps[3].obs, steps[3].final_obs]
    assert np.array_equal(batch["obs"][0], np.concatenate(shown))
    assert batch["index"].tolist() == [[1, -1, 2, 3, -1]]
    assert batch["is_first"].tolist() == [[False, False, True, False, False]]
    assert batch["is_last"].tolist() == [[False, True, False, False, True]]
    assert batch["is_terminal"].tolist() == [[False, True, False, False, False]]
    rewards = [steps[k].reward[0] for k in (0, 1, 2, 3)]
    assert batch["reward"].tolist() == [[rewards[0], rewards[1], 0, rewards[2], rewards[3]]]
