"""Games of a vector go back to any moment: exactly, one by one, and into single environments."""

from __future__ import annotations

import pickle

import gymnasium
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mario_envkit import MarioVectorEnv, clone_state, restore_state
from mario_envkit.errors import OptionError, ResetRequired, SnapshotMismatch
from mario_envkit.snapshots import MarioSnapshotVectorEnv
from tests.kit.test_copies import said
from tests.native.test_pool_copies import ENVS, VECTORS, act, begun

PLANNED = [name for name in VECTORS if "snapshots" not in name]


@pytest.mark.parametrize("name", PLANNED)
@settings(max_examples=6)
@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(1, 40), st.integers(0, 10**6)), min_size=3, max_size=8
    )
)
@pytest.mark.slow
def test_who_has_tried_something_out_is_where_he_was(name, operations):
    never_moved, envs = begun(name), begun(name)
    for goes_on, count, number in operations:
        if goes_on:
            for step in range(number, number + count):
                assert act(envs, step) == act(never_moved, step)
            continue
        states = envs.clone_state()
        attempts = []
        for _ in range(2):
            attempts.append([act(envs, step) for step in range(number, number + count)])
            envs.restore_state(states)
        assert attempts[0] == attempts[1]


@pytest.mark.parametrize("name", PLANNED)
def test_states_go_into_another_vector(name):
    envs = begun(name)
    for number in range(80):
        act(envs, number)
    states = pickle.loads(pickle.dumps(envs.clone_state()))
    env_id, options = VECTORS[name]
    other = gymnasium.make_vec(env_id, num_envs=ENVS, **options)  # which was never reset
    other.restore_state(states)
    expected = [act(envs, number) for number in range(80)]
    assert [act(other, number) for number in range(80)] == expected


def test_one_root_for_all_and_some_alone():
    envs = MarioVectorEnv(3, frame_skip=4, actions="simple", frame_stack=2)
    envs.reset(seed=0)
    for _ in range(10):
        envs.step([1, 2, 3])
    (root,) = envs.clone_state([1])
    envs.restore_state(root)
    observations, rewards, *_, infos = envs.step([1, 1, 1])
    assert (observations == observations[0]).all()
    assert (rewards == rewards[0]).all()
    assert len(set(infos["x_pos"].tolist())) == 1
    before = envs.clone_state()
    envs.restore_state([root], [2])
    after = envs.clone_state()
    assert [a.saved.console == b.saved.console for a, b in zip(after, before, strict=True)] == [
        True, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize("stack", [1, 4])
def test_a_single_environment_and_a_vector_understand_each_other(stack):
    options = {"frame_stack": stack, "repeat_action_probability": 0.25, "stall_limit": 30}
    env = gymnasium.make("MarioTrain-v0", **options)
    envs = gymnasium.make_vec("MarioTrain-v0", num_envs=2, **options)
    env.reset(seed=0)
    envs.reset(seed=5)
    for _ in range(8):
        env.step(1)
    envs.restore_state(clone_state(env))
    kept = {"reset_mask": np.array([True, False])}
    seen = envs.reset(options=kept)[0][1]
    observation, reward, *_, info = env.step(3)
    observations, rewards, *_, infos = envs.step([3, 3])
    assert not np.array_equal(seen, observation)
    assert np.array_equal(observations[1], observation)
    assert rewards[1] == reward
    assert infos["x_pos"][1] == info["x_pos"]
    envs.step([1, 4])
    restore_state(env, envs.clone_state([1])[0])
    assert np.array_equal(env.step(1)[0], envs.step([1, 1])[0][1])


def test_the_random_generator():
    envs = MarioVectorEnv(1, repeat_action_probability=0.5)
    envs.reset(seed=0)
    for include_rng in (True, False):
        states = envs.clone_state(include_rng=include_rng)
        draws = set()
        for _ in range(3):
            draws.add(envs.chances.games[0].np_random.random())
            envs.restore_state(states)
        assert len(draws) == (1 if include_rng else 3)


def test_what_cannot_be_restored_is_said():
    envs = MarioVectorEnv(2)
    with pytest.raises(ResetRequired, match="no games to save yet"):
        envs.clone_state()
    envs.reset(seed=0)
    states = envs.clone_state()
    for wrong in ([2], [-1], [0, 0], [0.5], [[0]], ["0"]):
        with pytest.raises(OptionError, match="indices="):
            envs.clone_state(wrong)
    with pytest.raises(OptionError, match="2 states for 1 environments"):
        envs.restore_state(states, [0])
    with pytest.raises(OptionError, match="state=None is not possible"):
        envs.restore_state([None], [0])
    other = MarioVectorEnv(2, crop_top=32)
    with pytest.raises(ResetRequired, match="once all were reset"):
        other.restore_state(states[0], [0])
    other.reset(seed=0)
    before = [said(other.step([128, 129]))]
    other.reset(seed=0)
    with pytest.raises(SnapshotMismatch, match="crop_top=0 there and 32 here"):
        other.restore_state([other.clone_state()[0], states[1]])
    assert [said(other.step([128, 129]))] == before
    with pytest.raises(OptionError, match="what to plan in"):
        MarioSnapshotVectorEnv(1).clone_state()
