"""``clone_state`` and ``restore_state``: any moment, as often as wanted, with all of it."""

from __future__ import annotations

import pickle

import gymnasium
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mario_envkit
from mario_envkit import MarioEnv, clone_state, make_mario, restore_state
from mario_envkit.curriculum.schedule import OnSuccess
from mario_envkit.emulator.nes_py import nes_py_version
from mario_envkit.errors import OptionError, ResetRequired, SnapshotMismatch
from mario_envkit.game.levels import Level
from mario_envkit.snapshots import SnapshotArchive
from tests.kit.test_copies import ENVS, RIGHT, Player, begun, die, said


@pytest.mark.filterwarnings("ignore:.*out of date")
@pytest.mark.parametrize("name", ENVS)
@settings(max_examples=5)
@given(
    st.lists(
        st.tuples(st.sampled_from(["go on", "try and go back"]), st.integers(0, 3),
                  st.integers(1, 40)),
        min_size=3, max_size=12,
    )
)  # fmt: skip
@pytest.mark.slow
def test_who_has_tried_something_out_is_where_he_was(name, operations):
    never_moved, player = begun(name), begun(name)
    for what, choice, count in operations:
        if what == "go on":
            for number in range(count):
                assert player.act((choice + number) % 4) == never_moved.act((choice + number) % 4)
            continue
        state, over = clone_state(player.env), player.over
        attempts = []
        for _ in range(2):
            attempts.append([player.act(choice) for _ in range(count)])
            restore_state(player.env, state)
            player.over = over
        assert attempts[0] == attempts[1]


@pytest.mark.filterwarnings("ignore:.*out of date")
@pytest.mark.parametrize("name", ENVS)
def test_a_state_goes_into_another_environment(name):
    player = begun(name)
    for number in range(120):
        player.act(number % 4)
    state = pickle.loads(pickle.dumps(clone_state(player.env)))
    env_id, options = ENVS[name]
    other = Player(gymnasium.make(env_id, **options), player.over)  # which was never reset
    restore_state(other.env, state)
    expected = [player.act(number % 4) for number in range(120)]
    assert [other.act(number % 4) for number in range(120)] == expected


def test_the_random_generator():
    env = gymnasium.make("MarioTrain-v0", repeat_action_probability=0.5)
    env.reset(seed=0)
    for include_rng in (True, False):
        state = clone_state(env, include_rng=include_rng)
        draws = set()
        for _ in range(3):
            draws.add(env.np_random.random())
            restore_state(env, state)
        assert len(draws) == (1 if include_rng else 3)


def test_the_game_alone():
    env = gymnasium.make("MarioTrain-v0")
    env.reset(seed=0)
    game = env.unwrapped
    state = game.clone_state()
    expected = [said(game.step(128)) for _ in range(20)]
    game.restore_state(state)
    assert [said(game.step(128)) for _ in range(20)] == expected
    with pytest.raises(SnapshotMismatch, match="wrappers=MarioEnv there"):
        restore_state(env, state)


def test_the_end_of_an_episode_is_a_state_as_well():
    env = make_mario(actions="simple", frame_skip=4)
    env.reset(seed=0)
    before = clone_state(env)
    while not env.step(RIGHT)[2]:
        pass
    over = clone_state(env)
    restore_state(env, before)
    env.step(RIGHT)
    restore_state(env, over)
    with pytest.raises(ResetRequired):
        env.step(RIGHT)


def test_what_was_only_tried_out_is_no_success_and_no_failure():
    schedule = OnSuccess([Level(1, 1), Level(1, 2)])
    env = MarioEnv(level=schedule)
    env.reset(seed=0)
    state = clone_state(env)
    env._levels.end(success=True)
    assert env.reset()[1]["level"] == "1-2"
    restore_state(env, state)
    assert env.schedule is schedule
    assert env.reset()[1]["level"] == "1-1"


def test_what_practice_remembers_goes_back_as_well_but_not_what_others_know():
    env = mario_envkit.create_snapshot_mario_env(checkpoint_interval=30)
    env.reset(seed=0)
    state, figures = clone_state(env), env.get_stats()
    die(env)
    assert env.get_stats() != figures
    restore_state(env, state)
    assert env.get_stats() == figures
    archive = SnapshotArchive()
    env = mario_envkit.create_snapshot_mario_env(checkpoint_interval=30, archive=archive)
    env.reset(seed=0)
    die(env)
    state = clone_state(env)
    practised = env.handler.attempts._practising
    die(env)
    restore_state(env, state)
    assert env.handler.archive is archive
    assert env.handler.attempts._practising is practised


@pytest.mark.skipif(nes_py_version() is None, reason="needs nes-py")
def test_on_nes_py():
    env = gymnasium.make("MarioTrain-v0", backend="nes-py")
    env.reset(seed=0)
    player = Player(env)
    for number in range(6):
        player.act(number % 4)
    state = clone_state(env)
    expected = [player.act(number % 4) for number in range(6)]
    restore_state(env, state)
    assert [player.act(number % 4) for number in range(6)] == expected


def test_what_cannot_be_cloned_is_said():
    env = gymnasium.make("MarioTrain-v0")
    with pytest.raises(ResetRequired, match="no game to save yet"):
        clone_state(env)
    vector = gymnasium.make_vec("MarioTrain-v0", num_envs=2)
    with pytest.raises(OptionError, match=r"vector; MarioVectorEnv has clone_state\(\)"):
        mario_envkit.clone_state(vector)
    vector.close()
    with pytest.raises(OptionError, match="not a game of mario-envkit"):
        clone_state(gymnasium.make("CartPole-v1"))
    watched = gymnasium.wrappers.RecordEpisodeStatistics(env)
    with pytest.raises(OptionError, match=r"RecordEpisodeStatistics .* clone what is under it"):
        clone_state(watched)
    with pytest.raises(OptionError, match="state=b'state' is not possible"):
        restore_state(env, b"state")
    env.reset(seed=0)
    other = gymnasium.make("MarioTrain-v0", frame_skip=2, palette="contrast")
    other.reset(seed=0)
    before = said(other.step(RIGHT))
    with pytest.raises(SnapshotMismatch, match=r"palette=.*; frame_skip=4 there and 2 here"):
        restore_state(other, clone_state(env))
    again = gymnasium.make("MarioTrain-v0", frame_skip=2, palette="contrast")
    again.reset(seed=0)
    assert said(again.step(RIGHT)) == before
    assert said(again.step(RIGHT)) == said(other.step(RIGHT))
