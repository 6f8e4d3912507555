"""What the vector environment refuses, and its smaller promises."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from hypothesis import given
from hypothesis import strategies as st

import mario_envkit
from mario_envkit.emulator import native
from mario_envkit.env import MarioEnv
from mario_envkit.errors import BackendUnavailable, EmulatorClosed, LevelError, OptionError
from mario_envkit.game import ram as m
from mario_envkit.game.rewards import Death, RewardFunction
from mario_envkit.game.rules import GameStuck
from mario_envkit.game.state import GameState, read_state
from mario_envkit.vector import MarioVectorEnv
from mario_envkit.vector.reward import compile_reward

pytestmark = pytest.mark.skipif(not native.is_available(), reason="the native core is not built")


def make(num_envs: int = 2, **kwargs) -> MarioVectorEnv:
    return gymnasium.make_vec("MarioTrain-v0", num_envs, **kwargs)


@pytest.mark.parametrize(
    "kwargs",
    [
        {"frame_skip": 0}, {"frame_stack": 0}, {"stall_limit": 0}, {"noop_max": -1},
        {"repeat_action_probability": 1.5}, {"screen_size": 300}, {"crop_top": 240},
        {"actions": "fast"}, {"actions": []}, {"reward": "points"}, {"observation": "sound"},
        {"level": "9-1"}, {"game": "zelda"}, {"rom": "nowhere.nes"}, {"timing": "pal"},
        {"rom_variant": "gold"}, {"render_mode": "ansi"}, {"palette": [1, 2]},
    ],
    ids=str,
)  # fmt: skip
def test_wrong_options_are_refused_in_the_words_of_the_single_environment(kwargs):
    with pytest.raises(mario_envkit.MarioEnvkitError) as single:
        gymnasium.make("MarioTrain-v0", backend="native", **kwargs)
    with pytest.raises(type(single.value)) as vector:
        make(**kwargs)
    assert str(vector.value) == str(single.value)


@pytest.mark.parametrize(
    ("kwargs", "error", "words"),
    [
        ({"num_envs": 0}, OptionError, "num_envs=0"),
        ({"num_threads": 0}, OptionError, "num_threads=0"),
        ({"num_threads": 1.5}, OptionError, "num_threads=1.5"),
        ({"max_episode_steps": 0}, OptionError, "max_episode_steps=0"),
        ({"autoreset_mode": "never"}, OptionError, "NextStep"),
        ({"levels": ["1-1"]}, OptionError, "each of the 2"),
        ({"levels": "1-1"}, OptionError, "level="),
        ({"levels": ["1-1", "0-0"]}, LevelError, "0-0"),
        ({"render_mode": "human"}, OptionError, "rgb_array"),
        ({"backend": "nes-py"}, BackendUnavailable, "vectorization_mode"),
    ],
)
def test_wrong_options_of_its_own(kwargs, error, words):
    with pytest.raises(error, match=words):
        make(**kwargs)


def test_without_the_native_core(monkeypatch):
    monkeypatch.setattr(native, "is_available", lambda: False)
    with pytest.raises(BackendUnavailable, match=r"compiler.*vectorization_mode='sync'"):
        make()


@pytest.mark.parametrize(
    "actions", [[0, 7], [-1, 0], [0], [[0, 0]], [0.0, 1.0], 3, [0, 2**40]], ids=str
)
def test_impossible_actions_change_nothing(actions):
    env, other = make(), make()
    env.reset(seed=0)
    other.reset(seed=0)
    with pytest.raises(OptionError, match="action"):
        env.step(np.array(actions))
    np.testing.assert_equal(env.step([1, 2]), other.step([1, 2]))


@pytest.mark.parametrize(
    ("kwargs", "error"),
    [
        ({"seed": [1, 2, 3]}, OptionError),
        ({"options": {"reset_mask": [True, False]}}, OptionError),
        ({"options": {"reset_mask": np.array([1, 0])}}, OptionError),
        ({"options": {"reset_mask": np.array([True])}}, OptionError),
        ({"options": {"reset_mask": np.array([False, False])}}, OptionError),
        ({"options": {"level": "8-9"}}, LevelError),
    ],
    ids=str,
)
def test_impossible_resets_change_nothing(kwargs, error):
    env, other = make(), make()
    env.reset(seed=0)
    other.reset(seed=0)
    with pytest.raises(error):
        env.reset(**kwargs)
    np.testing.assert_equal(env.step([1, 2]), other.step([1, 2]))


def test_steps_need_a_reset():
    env = make()
    with pytest.raises(ResetNeeded):
        env.step([0, 0])
    with pytest.raises(ResetNeeded):
        env.reset(options={"reset_mask": np.array([True, False])})
    env.reset()
    env.step([0, 0])


def test_with_autoreset_disabled_finished_episodes_cannot_go_on():
    env = make(autoreset_mode="Disabled", max_episode_steps=1)
    env.reset()
    env.step([0, 0])
    with pytest.raises(ResetNeeded, match=r"\[0, 1\]"):
        env.step([0, 0])
    env.reset(options={"reset_mask": np.array([True, False])})
    with pytest.raises(ResetNeeded, match=r"\[1\]"):
        env.step([0, 0])


def test_closing():
    env = make()
    env.reset()
    env.close()
    env.close()
    for call in (env.reset, lambda: env.step([0, 0]), env.render, env.step_wait):
        with pytest.raises(EmulatorClosed):
            call()


@pytest.mark.parametrize("threads", [1, 2])
def test_a_stuck_game_is_an_error_from_which_a_reset_recovers(threads, monkeypatch):
    true_start = MarioEnv.start_of

    def start_of(self, level):
        if level not in self._starts and str(level) == "1-2":
            true_start(self, level)
            self.emulator.ram[0x0776] = 1  # paused
            self.emulator.ram[m.PLAYER_STATE] = 0
            self._starts[level] = self.emulator.save()
        return true_start(self, level)

    monkeypatch.setattr(MarioEnv, "start_of", start_of)
    env = make(3, num_threads=threads)
    env.reset(seed=0, options={"level": "1-2"})
    with pytest.raises(GameStuck, match="reset"):
        env.step([0, 0, 0])
    with pytest.raises(ResetNeeded):
        env.step([0, 0, 0])
    other = make(3)
    np.testing.assert_equal(env.reset(seed=0), other.reset(seed=0))
    np.testing.assert_equal(env.step([1, 2, 3]), other.step([1, 2, 3]))


def test_returned_arrays_are_the_callers_own():
    env = make()
    first, infos = env.reset(seed=0)
    kept = first.copy(), infos["x_pos"].copy()
    _, rewards, *_, later = env.step([1, 1])
    kept_rewards = rewards.copy()
    later["x_pos"][:] = 0
    later["reward_parts"]["distance"][:] = 7
    first[:] = 0
    observations, rewards_2, *_ = env.step([1, 1])
    assert observations.base is None or observations.base is not first
    np.testing.assert_array_equal(rewards, kept_rewards)
    np.testing.assert_array_equal(infos["x_pos"], kept[1])
    other = make()
    other.reset(seed=0)
    other.step([1, 1])
    expected, expected_rewards, *_ = other.step([1, 1])
    np.testing.assert_array_equal(observations, expected)
    np.testing.assert_array_equal(rewards_2, expected_rewards)


def test_without_copies_the_same_array_comes_back():
    env, other = make(copy=False), make()
    array, _ = env.reset(seed=0)
    other.reset(seed=0)
    for _ in range(3):
        again, *_ = env.step([1, 3])
        assert again is array
        np.testing.assert_array_equal(again, other.step([1, 3])[0])


def test_pictures():
    env = make(render_mode="rgb_array")
    env.reset(seed=0)
    env.step([1, 4])
    pictures = env.render()
    single = gymnasium.make("MarioTrain-v0", backend="native", render_mode="rgb_array")
    single.reset(seed=1)
    single.step(4)
    assert [picture.shape for picture in pictures] == [(240, 256, 3)] * 2
    np.testing.assert_array_equal(pictures[1], single.render())
    assert make().render() is None


def test_what_the_core_can_compile():
    assert compile_reward(RewardFunction((Death(-3),)))
    assert compile_reward(RewardFunction((Death(np.float32(-3)),)))
    assert compile_reward(RewardFunction((Death(),), scale=2**60)) is None

    class Ours(Death):
        pass

    assert compile_reward(RewardFunction((Ours(),))) is None


@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_the_core_reads_memory_as_python_does(seed, share):
    rng = np.random.default_rng(seed)
    ram = np.where(rng.random(2048) < share, rng.integers(0, 256, 2048), 0).astype(np.uint8)
    # Values that mean something, where chance would seldom put them.
    ram[m.PLAYER_STATE] = rng.integers(0, 13)
    ram[m.FLOAT_STATE] = rng.integers(0, 5)
    ram[m.OPERATION_MODE] = rng.integers(0, 4)
    ram[m.Y_VIEWPORT] = rng.integers(0, 3)
    ram[m.LIFE] = rng.choice([0, 2, 255])
    ram[rng.choice(m.ENEMY_TYPES)] = rng.choice([0x2D, 0x31, 0x06])
    out = np.zeros(len(GameState._fields), np.int64)
    native._native.read_state(ram, out)
    assert tuple(out.tolist()) == tuple(int(value) for value in read_state(ram.data))
