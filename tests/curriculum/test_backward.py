"""The backward algorithm."""

from __future__ import annotations

import json
from typing import Any

import gymnasium
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mario_envkit.curriculum.backward import BackwardCurriculum, BackwardStarts, starts_along
from mario_envkit.env import MarioEnv
from mario_envkit.errors import ConfigError, OptionError, ReplayError
from mario_envkit.snapshots import create_snapshot_mario_env


class Slow:
    """The curriculum, as its documentation says it, from the whole history."""

    def __init__(self, starts: int, threshold: float, window: int, step: int, spread: int) -> None:
        self.position, self.outcomes = starts - 1, []
        self.rules = threshold, window, step, spread

    def record(self, start: int, success: bool) -> None:
        threshold, window, step, spread = self.rules
        if self.position == 0 or start < self.position or start > self.position + spread:
            return
        self.outcomes.append(success)
        if sum(self.outcomes[-window:]) >= threshold * window:
            self.position, self.outcomes = max(0, self.position - step), []


@given(
    st.integers(1, 30), st.floats(0.01, 1), st.integers(1, 6), st.integers(1, 4),
    st.integers(0, 4), st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=80),
    st.integers(0, 100),
)  # fmt: skip
def test_it_moves_back_as_success_allows(starts, threshold, window, step, spread, played, cut):
    rules = dict(threshold=threshold, window=window, step=step, spread=spread)
    curriculum = BackwardCurriculum(starts, **rules)
    slow = Slow(starts, **rules)
    rng = np.random.default_rng(0)
    for number, (offset, success) in enumerate(played):
        if number == cut:  # through JSON into another
            state = json.loads(json.dumps(curriculum.state()))
            curriculum = BackwardCurriculum(starts, **rules)
            curriculum.restore(state)
        before = curriculum.position
        assert 0 <= curriculum.choose(rng) < starts
        assert before <= curriculum.choose(rng) <= before + spread * (before > 0)
        moved = curriculum.record(before + offset, success)
        slow.record(before + offset, success)
        assert curriculum.position == slow.position
        assert moved == (curriculum.position < before)
        assert curriculum.done == (curriculum.position == 0)


def test_it_never_moves_without_success_and_always_arrives_with_it():
    rng = np.random.default_rng(0)
    curriculum = BackwardCurriculum(50)
    for _ in range(1000):
        curriculum.record(curriculum.choose(rng), False)
    assert curriculum.position == 49
    episodes = 0
    while not curriculum.done:
        curriculum.record(curriculum.choose(rng), True)
        episodes += 1
    assert episodes == 49 * 4, "20 % of 20"


@pytest.mark.parametrize(
    "state",
    [
        None, [], {}, {"starts": 9, "position": 3, "outcomes": []},
        {"starts": 10, "position": 10, "outcomes": []},
        {"starts": 10, "position": 3, "outcomes": [2]},
        {"starts": 10, "position": 3, "outcomes": 1},
        {"starts": 10, "position": "3", "outcomes": []},
        {"starts": 10, "position": 3.0, "outcomes": []},
    ],
)  # fmt: skip
def test_a_wrong_state_changes_nothing(state):
    curriculum = BackwardCurriculum(10)
    curriculum.record(9, True)
    before = curriculum.state()
    with pytest.raises(ConfigError, match=r"\A[^\n]*\Z"):
        curriculum.restore(state)
    assert curriculum.state() == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"starts": 0}, {"window": 0}, {"step": 0}, {"spread": -1}, {"window": 2.5},
        {"threshold": 0}, {"threshold": 1.1}, {"threshold": float("nan")},
    ],
)  # fmt: skip
def test_wrong_numbers(wrong):
    with pytest.raises(OptionError, match=f"{next(iter(wrong))}="):
        BackwardCurriculum(**{"starts": 10, **wrong})


# -- in an environment -----------------------------------------------------------------------


def finish(env: Any, actions: bytes) -> dict[str, Any]:
    for byte in actions:
        *_, terminated, truncated, info = env.step(byte)
        if terminated or truncated:
            break
    return info


def test_the_rest_of_the_run_leads_from_each_start_to_the_flag(way):
    env = MarioEnv()
    points = starts_along(way, env, spacing=100)
    assert len(points) == -(-way.frames // 100)
    frames = []
    for number in (0, 1, len(points) // 2, len(points) - 1):
        _, info = env.reset(options={"start": points[number]})
        assert info["level"] == "1-1"
        frames.append(info["frame"])
        info = finish(env, way.actions[100 * number :])
        assert info["flag_get"]
        assert not info["died"]
    assert frames[0] == 0
    assert frames == sorted(frames)


RAW: dict[str, Any] = dict(actions="raw", frame_skip=1, observation="ram", frame_stack=1)


@pytest.mark.parametrize("restore", ["in_episode", "on_reset"])
def test_who_can_replay_the_run_arrives_at_its_start(way, tmp_path, restore):
    way.save(tmp_path / "1-1.json")
    starts = BackwardStarts(tmp_path / "1-1.json", jitter=0, spacing=200, window=2, threshold=1)
    env = create_snapshot_mario_env(level="1-1", start_states=starts, restore=restore, **RAW)
    env.reset(seed=0)
    count, episodes, places = starts.curriculum.starts, 0, []
    while not starts.curriculum.done:
        _, info = env.reset()
        assert info["start"] == "run"
        assert not info["snapshot_restored"]
        done = next(i for i, p in enumerate(starts._points) if p.frame == info["frame"])
        places.append(info["x_pos"])
        assert finish(env, way.actions[200 * done :])["flag_get"]
        episodes += 1
    assert episodes == 2 * (count - 1)
    assert places[-1] < 1000 < places[0]
    assert env.get_stats()["levels"] == {}, "no true start yet"
    _, info = env.reset()
    assert info["start"] == "true"
    assert finish(env, way.actions)["flag_get"]
    assert env.get_stats()["levels"]["1-1"]["completions"] == 1


def test_a_death_is_a_failure_and_practice_after_it_is_not_counted(way):
    starts = BackwardStarts(way, jitter=0, window=5, threshold=1)
    env = create_snapshot_mario_env(level="1-1", start_states=starts, checkpoint_interval=4, **RAW)
    starts.restore({**starts.state(), "position": 3})
    env.reset(seed=0)
    env.reset()
    for _ in range(2000):
        *_, terminated, _, _ = env.step(128)
        if terminated:
            break
    assert env.total_restores
    assert starts.state()["outcomes"] == [0]


def test_a_seed_brings_back_the_state_it_was_made_or_restored_with(way):
    starts = BackwardStarts(way)
    env = create_snapshot_mario_env(start_states=starts)
    fresh = starts.state()
    starts.curriculum.record(starts.curriculum.position, True)
    env.reset(seed=0)
    assert starts.state() == fresh
    resumed = {**fresh, "position": 7, "outcomes": [1, 0]}
    starts.restore(resumed)
    starts.curriculum.record(7, True)
    env.reset(seed=0)
    assert starts.state() == resumed


def test_by_keyword(way, tmp_path):
    path = tmp_path / "way.json"
    way.save(path)
    env = gymnasium.make("MarioSnapshot-v0", backward=path, restore="on_reset")
    observation, info = env.reset(seed=0)
    assert (info["level"], info["start"]) == ("1-1", "true")
    assert observation.shape == (4, 84, 84)
    _, info = env.reset()
    assert info["start"] == "run"
    assert info["x_pos"] > 2900
    several = gymnasium.make("MarioSnapshot-v0", backward=way, level="1-1..1-2")
    several.reset(seed=0)
    seen = {(info["level"], info["start"]) for _, info in (several.reset() for _ in range(30))}
    assert seen == {("1-1", "run"), ("1-2", "true")}


def test_episodes_that_begin_truly_are_those_that_schedules_hear_of(way):
    starts = BackwardStarts(way, jitter=0, spacing=200, true_starts=0.5)
    env = create_snapshot_mario_env(level="1-1", start_states=starts, **RAW)
    env.reset(seed=0)
    count = 0
    for _ in range(6):
        _, info = env.reset()
        before = starts.state()
        if info["start"] == "true":
            count += finish(env, way.actions)["flag_get"]
            assert starts.state() == before, "it says nothing of the run"
    assert count
    assert env.get_stats()["levels"]["1-1"]["completions"] == count


def test_wrong_runs(way, tmp_path):
    with pytest.raises(ReplayError, match="cannot be read"):
        gymnasium.make("MarioSnapshot-v0", backward=tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(ReplayError, match="is not a run"):
        gymnasium.make("MarioSnapshot-v0", backward=tmp_path / "bad.json")
    with pytest.raises(OptionError, match="give one of them"):
        create_snapshot_mario_env(backward=way, start_states=0.3)
    with pytest.raises(OptionError, match="give the level of the run"):
        create_snapshot_mario_env(backward=way, level="1-2")
    with pytest.raises(OptionError, match="'full'"):
        create_snapshot_mario_env(backward=way, level="full")
    with pytest.raises(ReplayError, match="belongs to another timing"):
        create_snapshot_mario_env(backward=way, timing="nes-py")
    with pytest.raises(OptionError, match="spacing="):
        BackwardStarts(way, spacing=0)
