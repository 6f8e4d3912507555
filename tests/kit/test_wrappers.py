"""Our own wrappers against what they replace: frame-by-frame play."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import gymnasium
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mario_envkit.env import MarioEnv
from mario_envkit.errors import CallOrderError
from mario_envkit.registration import make_mario
from mario_envkit.step_lock import StepLock
from mario_envkit.wrappers import (
    BlankObservation,
    ButtonActions,
    FrameSkip,
    NoopReset,
    StallLimit,
)
from mario_envkit.wrappers.action import EVENTS

ACTIONS = [129, 129, 0, 131, 64, *[128] * 80]  # ends in the first goomba


@pytest.mark.parametrize("max_pool", [False, True])
def test_frame_skip_is_a_loop_over_frames(max_pool):
    skipping, plain = FrameSkip(MarioEnv(), 4, max_pool), MarioEnv()
    assert np.array_equal(skipping.reset()[0], plain.reset()[0])
    for action in ACTIONS:
        observation, reward, terminated, _, info = skipping.step(action)
        frames, rewards, infos, over = [], [], [], False
        while len(frames) < 4 and not over:
            frame, frame_reward, over, _, frame_info = plain.step(action)
            frames.append(frame)
            rewards.append(frame_reward)
            infos.append(frame_info)
        pooled = np.maximum(*frames[-2:]) if max_pool and len(frames) == 4 else frames[-1]
        assert np.array_equal(observation, pooled)
        assert (reward, terminated) == (sum(rewards), over)
        assert info["x_pos"] == infos[-1]["x_pos"]
        assert info["died"] == any(i["died"] for i in infos)
        for name, part in info["reward_parts"].items():
            assert part == sum(i["reward_parts"][name] for i in infos)
        if terminated:
            return
    pytest.fail("this run was meant to end in a death, so that the last step is checked as well")


class Console(gymnasium.Env):
    """Writes down what is pressed in each frame; has nothing else of a game."""

    metadata = {"render_fps": 60}  # noqa: RUF012
    observation_space = gymnasium.spaces.Box(0, 255, (1,), np.uint8)
    action_space = gymnasium.spaces.Discrete(256)

    def __init__(self):
        self.step_lock, self.pressed = StepLock(), []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.pressed = []
        return np.zeros(1, np.uint8), {}

    def step(self, action):
        self.pressed.append(action)
        info = {**dict.fromkeys(EVENTS, False), "death_cause": "", "reward_parts": {}}
        return np.zeros(1, np.uint8), 0.0, False, False, info


@given(
    st.lists(st.lists(st.integers(0, 255), max_size=12), min_size=1, max_size=3),
    st.integers(1, 6),
    st.floats(0.01, 0.99),
    st.integers(0, 99),
    st.integers(0, 12),
)
def test_sticky_frames_are_those_of_the_arcade_learning_environment(
    episodes, skip, probability, seed, saved_at
):
    env = FrameSkip(Console(), skip, repeat_frame_probability=probability)
    rng = np.random.default_rng(seed)
    for number, actions in enumerate(episodes):
        env.reset(seed=seed if number == 0 else None)
        held, expected = 0, []
        for step, action in enumerate(actions):
            for chance in rng.random(skip):
                held = held if chance < probability else action
                expected.append(held)
            if step == saved_at:  # saved, played on elsewhere, and restored
                kept = env.save_context()
                env.load_context((255 - held,))
                env.load_context(kept)
            env.step(action)
        assert env.unwrapped.pressed == expected


def test_events_on_skipped_frames_are_not_lost():
    env = FrameSkip(MarioEnv(level="full"), 4)
    env.reset()
    deaths = 0
    for _ in range(120):
        *_, info = env.step(128)
        if info["died"]:
            deaths += 1
            assert info["life_lost"]
            assert info["death_cause"] == "enemy"
    assert deaths >= 1
    assert env.metadata["render_fps"] == 15


def test_nobody_gets_in_between_two_frames_of_an_action():
    class Intruded(gymnasium.Wrapper):
        """Another thread steps the game after every frame."""

        def step(self, action):
            frame = self.env.step(action)
            with ThreadPoolExecutor(1) as other:
                refused.append(other.submit(self.env.step, 0).exception())
            return frame

    refused = []
    env, alone = FrameSkip(Intruded(MarioEnv()), 4), FrameSkip(MarioEnv(), 4)
    env.reset()
    alone.reset()
    for _ in range(3):
        assert env.step(128)[-1] == alone.step(128)[-1]
    assert [type(error) for error in refused] == [CallOrderError] * 12


def test_noop_start():
    env = NoopReset(MarioEnv(), 30)
    frames = [env.reset(seed=seed)[1]["frame"] for seed in range(12)]
    assert frames == [env.reset(seed=seed)[1]["frame"] for seed in range(12)]
    assert len(set(frames)) > 5
    assert 0 <= min(frames) <= max(frames) <= 30


@pytest.mark.parametrize("observation", ["tiles", "ram", "pixels"])
def test_noop_start_observes_its_last_frame(observation):
    env, plain = NoopReset(MarioEnv(observation=observation), 30), MarioEnv(observation=observation)
    for seed in range(6):
        seen, info = env.reset(seed=seed)
        shown, _ = plain.reset()
        for _ in range(info["frame"]):
            shown, *_ = plain.step(0)
        assert np.array_equal(seen, shown)
        assert all(np.array_equal(env.step(128)[0], plain.step(128)[0]) for _ in range(3))


def test_nobody_gets_in_between_two_frames_of_a_reset():
    class Intruded(gymnasium.Wrapper):
        """Another thread steps the game after every frame."""

        def step(self, action):
            frame = self.env.step(action)
            with ThreadPoolExecutor(1) as other:
                refused.append(type(other.submit(self.env.step, 0).exception()))
            return frame

    refused = []
    _, info = NoopReset(Intruded(MarioEnv()), 30).reset(seed=1)
    assert refused == [CallOrderError] * info["frame"] != []


def test_blank_observations_hide_what_goes_on_and_change_nothing_else():
    plain = make_mario(observation="tiles", actions="simple", frame_skip=4)
    blank = BlankObservation(make_mario(observation="tiles", actions="simple", frame_skip=4), 0.5)
    hidden = []
    for seed in range(3):
        steps = zip(_played(plain, seed), _played(blank, seed), strict=True)
        for (seen, *rest), (shown, *others) in steps:
            hidden.append(not shown.any())
            assert hidden[-1] or np.array_equal(shown, seen)
            assert rest == others
    assert 0.4 < np.mean(hidden) < 0.6
    assert hidden[:60] != hidden[60:120]
    assert [not shown.any() for shown, *_ in _played(blank, 0)] == hidden[:60]


def test_blank_pictures_are_stacked_as_others():
    env = make_mario(observation="tiles", frame_skip=4, frame_stack=3, blank_probability=0.5)
    stack, _ = env.reset(seed=0)
    patterns = set()
    for _ in range(100):
        before, (stack, *_) = stack, env.step(0)
        assert np.array_equal(stack[:-1], before[1:])
        patterns.add(tuple(picture.any() for picture in stack))
    assert len(patterns) == 8


def _played(env, seed):
    yield env.reset(seed=seed)
    for number in range(59):
        yield env.step(5 * (number % 2))


def test_stall_limit_counts_steps_without_new_ground():
    env = StallLimit(ButtonActions(FrameSkip(MarioEnv(), 4), "simple"), 6)
    env.reset()
    positions, truncated = [40], False  # where 1-1 starts
    for action in [3, 3, 3, *[6] * 4, 3, 3, 3, *[0] * 15]:
        *_, truncated, info = env.step(action)
        positions.append(info["x_pos"])
        news = [x > max(positions[:i]) for i, x in enumerate(positions) if i]
        assert truncated == (len(news) >= 6 and not any(news[-6:]))
        if truncated:
            break
    assert truncated
    assert max(positions) > 50


def test_stall_limit_starts_anew_in_another_area():
    env = StallLimit(MarioEnv(), 3)
    env.reset()
    for _ in range(4):
        env.unwrapped.emulator.ram[0xE7] += 1  # the address of the area's data
        assert not env.step(0)[3]
    assert [env.step(0)[3] for _ in range(3)] == [False, False, True]


def test_named_actions():
    env = ButtonActions(MarioEnv(), [["right", "B"], []])
    assert env.action_space.n == 2
    assert env.get_action_meanings() == ["B+RIGHT", "NOOP"]
    env.reset()
    for _ in range(30):
        *_, info = env.step(0)
    assert info["x_pos"] > 60
