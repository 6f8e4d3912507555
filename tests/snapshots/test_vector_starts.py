"""Start states in the vector are those of single environments, bit for bit."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from mario_envkit.curriculum.backward import BackwardStarts
from mario_envkit.curriculum.start_states import StartStateSampler
from mario_envkit.emulator import native
from tests.snapshots.vectors import MODES, assert_equal_for, make_both, walk

pytestmark = pytest.mark.skipif(not native.is_available(), reason="the native core is not built")

OPTIONS = dict(checkpoint_interval=80, max_restores_without_progress=1, screen_size=(40, 44))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("restore", ["in_episode", "on_reset"])
@pytest.mark.slow
def test_archived_starts(mode, restore):
    chosen = []

    class Counting(StartStateSampler):
        def choose(self, *arguments):
            chosen.append(super().choose(*arguments))
            return chosen[-1]

    both = make_both(
        4, levels=["1-1", "weighted:1-1..1-4", "full", "on-success:1-1..1-2"],
        autoreset_mode=mode, restore=restore, stall_limit=40, noop_max=5,
        repeat_action_probability=0.25, start_states=Counting(0.6), **OPTIONS,
    )  # fmt: skip
    stats = assert_equal_for(*both, 500, walk(4, 7, 3), seed=3)
    archived = len([start for start in chosen if start is not None])
    assert archived > 8, "half of them in the vector, half in the single environments"
    assert archived < len(chosen)
    assert stats["total_restores"] > archived // 2, "deaths were practised, too"


@pytest.mark.parametrize("reward", ["v7", "progress"])
def test_a_time_limit_and_no_stack(reward):
    both = make_both(
        3, level="1-1", max_episode_steps=60, reward=reward, start_states=0.7, frame_stack=1,
        restore="on_reset", **OPTIONS,
    )  # fmt: skip
    assert_equal_for(*both, 400, walk(3, 7, 1), seed=1)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.slow
def test_backward(mode, way):
    both = make_both(
        3, autoreset_mode=mode, backward=way, noop_max=4, repeat_action_probability=0.25,
        blank_probability=0.25, stall_limit=30, **OPTIONS,
    )  # fmt: skip
    assert_equal_for(*both, 500, walk(3, 7, 2), seed=2)
    vector, singles = both
    # Every game moves back by itself, as the single ones do.
    positions = [starts(session).state() for session in vector.hooks.sessions]
    theirs = [starts(env.get_wrapper_attr("_session")).state() for env in singles.envs]
    assert positions == theirs
    assert all(state["position"] < state["starts"] - 1 for state in positions)


@pytest.mark.parametrize("frames", [0.0, 0.5])
def test_each_game_is_as_sticky_on_its_way_to_a_start(frames):
    both = make_both(
        3, level="1-1", restore="on_reset", start_states=0.7, observation="tiles", stall_limit=30,
        repeat_action_probability=[0.0, 0.5, 0.9], repeat_frame_probability=frames,
        checkpoint_interval=80,
    )  # fmt: skip
    assert_equal_for(*both, 300, walk(3, 7, 1), seed=1)


def starts(session) -> BackwardStarts:
    return session._starts.states


def test_games_can_move_back_together(way):
    together = BackwardStarts(way, window=5)
    vector = gymnasium.make_vec(
        "MarioSnapshot-v0", 8, start_states=together, stall_limit=30, screen_size=(40, 44)
    )
    _, infos = vector.reset(seed=0)
    assert list(infos["start"]) == ["true"] * 8
    begin = together.curriculum.position
    act = walk(8, 7, 0)
    seen = set()
    for number in range(300):
        *_, infos = vector.step(act(number))
        seen |= set(infos["start"])
    assert seen == {"true", "run"}
    assert together.curriculum.position < begin - 10
    assert np.isin(infos["start"], ["run", "true"]).all()
