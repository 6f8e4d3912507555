"""MarioVectorEnv is SyncVectorEnv over single environments, bit for bit."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from mario_envkit.curriculum.schedule import Sequential
from mario_envkit.emulator import native
from mario_envkit.env import MarioEnv
from mario_envkit.errors import OptionError
from mario_envkit.game import ram as m
from mario_envkit.game.levels import Level, all_levels
from mario_envkit.game.reward_options import weighted
from mario_envkit.game.rewards import REWARDS as REWARDS_BY_NAME
from mario_envkit.game.rewards import (
    Clock,
    Coins,
    Death,
    Distance,
    Flag,
    PowerUp,
    Progress,
    RewardFunction,
    Score,
    Stall,
    Warp,
)
from tests.native.vectors import assert_same, compare, hold_some, make_both

pytestmark = pytest.mark.skipif(not native.is_available(), reason="the native core is not built")

MODES = [mode.value for mode in AutoresetMode]
LEVELS = ["1-1", "1-2", "4-3", "8-1", "random", "sequential", ["2-2", "7-2"]]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.slow
def test_training_environments_of_mixed_levels(mode, threads):
    both = make_both(
        "MarioTrain-v0", 7, levels=LEVELS, autoreset_mode=mode, num_threads=threads,
        max_episode_steps=60, stall_limit=12,
    )  # fmt: skip
    counts = compare(*both, 150, hold_some(7, 7, threads), seed=threads)
    assert counts["died"]
    assert counts["truncated"]


@pytest.mark.parametrize("mode", MODES)
def test_sticky_actions_noops_and_pooled_pictures(mode):
    both = make_both(
        "MarioTrain-v0", 3, level=["1-1", "5-2"], autoreset_mode=mode, noop_max=30, max_pool=True,
        repeat_action_probability=0.25, reward="progress", crop_top=32, screen_size=(52, 64),
        max_episode_steps=50,
    )  # fmt: skip
    assert compare(*both, 160, hold_some(3, 7, 1))["truncated"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kwargs", [{}, {"frame_skip": 1, "actions": "raw"}], ids=str)
def test_sticky_frames(mode, kwargs):
    both = make_both(
        "MarioTiles-v0", 3, level=["1-1", "5-2"], autoreset_mode=mode, noop_max=30,
        repeat_action_probability=0.25, repeat_frame_probability=0.5, show_buttons=True,
        blank_probability=0.25, max_episode_steps=50, **kwargs,
    )  # fmt: skip
    assert compare(*both, 160, hold_some(3, 256 if kwargs else 7, 1))["truncated"]


@pytest.mark.parametrize("mode", MODES)
def test_stickiness_of_each_game(mode):
    both = make_both(
        "MarioTiles-v0", 3, level=["1-1", "5-2"], autoreset_mode=mode, noop_max=30,
        repeat_action_probability=[0.0, 0.25, 0.9], show_buttons=True, max_episode_steps=30,
    )  # fmt: skip
    assert compare(*both, 100, hold_some(3, 7, 1))["truncated"]


def test_as_many_numbers_as_games():
    for numbers in ([0.1], [0.1, 0.2, 0.3], []):
        with pytest.raises(OptionError, match="a number, or one for each of the 2 games"):
            gymnasium.make_vec("MarioTiles-v0", 2, repeat_action_probability=numbers)
    with pytest.raises(OptionError, match=r"repeat_action_probability\[1\]=2 is not possible"):
        gymnasium.make_vec("MarioTiles-v0", 2, repeat_action_probability=[0, 2])
    with pytest.raises(OptionError, match="give one number"):
        gymnasium.make("MarioTiles-v0", repeat_action_probability=[0.1, 0.2])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("stack", [1, 3])
def test_blank_observations(mode, stack):
    both = make_both(
        "MarioTiles-v0", 3, level=["1-1", "5-2"], autoreset_mode=mode, noop_max=30,
        repeat_action_probability=0.25, blank_probability=0.5, frame_stack=stack,
        max_episode_steps=30,
    )  # fmt: skip
    assert compare(*both, 120, hold_some(3, 7, 1))["truncated"]


def test_idle_frames_that_end_an_episode_draw_the_same_numbers_before_a_blank_observation():
    both = make_both(
        "MarioTiles-v0", 2, level="random", autoreset_mode="SameStep", noop_max=3600,
        blank_probability=0.5, max_episode_steps=10,
    )  # fmt: skip
    compare(*both, 60, hold_some(2, 7, 1))


@pytest.mark.parametrize(
    ("env_id", "kwargs"),
    [
        ("Mario-v0", {}),
        ("Mario-v0", {"observation": "ram", "frame_stack": 2, "frame_skip": 2, "max_pool": True}),
        ("MarioTrain-v0", {"timing": "nes-py", "grayscale": False, "frame_stack": 1}),
        ("MarioTrain-v0", {"palette": "contrast", "actions": [["right"], ["right", "A"]]}),
        ("MarioTrain-v0", {"palette": list(range(0, 256, 8)), "actions": "right_only"}),
        ("MarioTrain-v0", {"game": "lost_levels", "frame_skip": 1, "max_pool": True}),
        ("mario_envkit/SuperMarioBros-v0", {"frame_skip": 8}),
        ("mario_envkit/SuperMarioBros-8-4-v0", {"frame_skip": 3}),
        ("mario_envkit/SuperMarioBrosRandomStages-v0", {"frame_skip": 6}),
    ],
    ids=str,
)  # fmt: skip
def test_every_kind_of_environment(env_id, kwargs):
    vector, singles = make_both(env_id, 2, **kwargs)
    assert vector.observation_space == singles.observation_space
    assert vector.single_observation_space == singles.single_observation_space
    assert vector.action_space == singles.action_space
    assert vector.single_action_space == singles.single_action_space
    assert {k: v for k, v in vector.metadata.items() if k != "autoreset_mode"} == {
        k: v for k, v in singles.metadata.items() if k != "autoreset_mode"
    }
    count = vector.single_action_space.n
    compare(vector, singles, 60, hold_some(2, min(count, 256), 5))


REWARDS = {
    "v7": "v7",
    "v9": "v9",
    "progress": "progress",
    "everything": RewardFunction(
        (
            Distance(), Clock(), Death(-0.1), Flag(0.7), Score(), Coins(), PowerUp(), Progress(),
            Progress("area", per_area=True), Flag(3.3, "once", once=True), Warp(-1.7),
        ),
        scale=0.37,
        clip=(-1.1, 2.3),
    ),
    "weights": weighted(
        REWARDS_BY_NAME["v9"],
        {"progress": 0.3, "time": 0.7, "score": 1.3, "coins": 0.1, "powerup": 2.5, "distance": 0.9},
    ),
}  # fmt: skip


class Ours:
    """A reward that the native core does not know, with a memory, in plain arithmetic."""

    name = "momentum"

    def start(self, state):
        return state.x_pos, state.x_pos * 0.0

    def __call__(self, memory, state):
        x, speed = memory
        speed = 0.9 * speed + 0.1 * (state.x_pos - x)
        return speed - 2.5 * state.dying + state.time % 7, (state.x_pos, speed)


@pytest.mark.parametrize("batched", [False, True], ids=["native", "python"])
@pytest.mark.parametrize(
    ("name", "noop_max"),
    [
        *((name, 20) for name in REWARDS),
        *(
            pytest.param(name, 0, marks=() if name == "everything" else pytest.mark.slow)
            for name in REWARDS
        ),
    ],
)
def test_rewards(name, batched, noop_max, monkeypatch):
    if batched:  # the same reward, worked out in arrays
        monkeypatch.setattr("mario_envkit.vector.pool.compile_reward", lambda function: None)
    both = make_both(
        "MarioTrain-v0", 4, level="random", reward=REWARDS[name], noop_max=noop_max,
        observation="ram", frame_stack=1, autoreset_mode="SameStep",
    )  # fmt: skip
    assert compare(*both, 120, hold_some(4, 7, 8))["died"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("noop_max", [0, 9])
def test_a_reward_that_only_python_knows(mode, noop_max):
    both = make_both(
        "MarioTrain-v0", 3, level=["1-1", "1-3"], autoreset_mode=mode, noop_max=noop_max,
        reward=RewardFunction((Distance(), Ours()), scale=0.3, clip=(-4, 11.5)),
        screen_size=(20, 20), max_episode_steps=40,
    )  # fmt: skip
    assert compare(*both, 150, hold_some(3, 7, 4))["truncated"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("batched", [False, True], ids=["native", "python"])
def test_a_stall_with_a_price(mode, batched, monkeypatch):
    if batched:
        monkeypatch.setattr("mario_envkit.vector.pool.compile_reward", lambda function: None)
    both = make_both(
        "MarioTiles-v0", 3, level=["1-1", "5-2"], autoreset_mode=mode, stall_limit=6, noop_max=5,
        reward="v7", reward_weights={"death": 3, "stall": 0.7}, max_episode_steps=30,
    )  # fmt: skip
    assert compare(*both, 120, hold_some(3, 7, 1))["truncated"]


def test_a_stall_is_paid_beside_the_clip():
    reward = RewardFunction((Distance(), Stall(-30), Stall(-7, "again")), scale=0.5, clip=(-1, 1))
    both = make_both("MarioTiles-v0", 1, stall_limit=5, reward=reward, autoreset_mode="Disabled")
    for envs in both:
        envs.reset(seed=0)
        assert [envs.step([0])[1][0] for _ in range(4)] == [0] * 4
        _, rewards, _, truncated, info = envs.step([0])
        assert rewards[0] == -18.5
        assert truncated[0]
        assert info["reward_parts"]["stall"][0] == -30
        assert info["reward_parts"]["again"][0] == -7
        envs.close()


def test_a_price_for_stalls_needs_a_limit():
    with pytest.raises(OptionError, match="say when with a stall_limit"):
        gymnasium.make_vec("MarioTiles-v0", 1, reward_weights={"stall": 1})


RUN = Path(__file__).parent / "flag-1-1.txt"


def run_to_the_flag() -> list[int]:
    """Joypad bytes that reach the flag of 1-1 in nes-py timing, one a frame."""
    words = RUN.read_text().split("\n", 2)[2].split()
    return [int(byte) for byte, count in (w.split("x") for w in words) for _ in range(int(count))]


@pytest.mark.parametrize("mode", MODES)
def test_the_flag(mode):
    run = run_to_the_flag()
    both = make_both(
        "Mario-v0", 2, timing="nes-py", observation="ram", reward="v9", autoreset_mode=mode
    )
    counts = compare(*both, len(run), lambda number: np.array([run[number], 0x82]))
    assert counts["flags"]
    assert counts["died"]


def start_at(monkeypatch, frames: int, **pokes: int) -> None:
    """Episodes begin late in the run, with some RAM written: single and vector alike."""
    true_start = MarioEnv.start_of

    def start_of(self, level):
        if level not in self._starts:
            true_start(self, level)
            for byte in run_to_the_flag()[:frames]:
                self.emulator.step(byte, render=False)
            for name, value in pokes.items():
                self.emulator.ram[getattr(m, name)] = value
            self._starts[level] = self.emulator.save()
        return self._starts[level]

    monkeypatch.setattr(MarioEnv, "start_of", start_of)


@pytest.mark.parametrize("mode", MODES)
def test_the_full_game_over_the_end_of_a_level(mode, monkeypatch):
    run = run_to_the_flag()
    start_at(monkeypatch, len(run) - 60)
    both = make_both(
        "Mario-v0", 2, level="full", timing="nes-py", observation="ram", frame_skip=4,
        autoreset_mode=mode, reward="v9",
    )  # fmt: skip
    rng = np.random.default_rng(0)

    def act(number):
        last = run[len(run) - 60 + 4 * number] if number < 15 else 0x82
        return np.array([last, rng.choice([0x81, 0x82, 0x83])])

    assert compare(*both, 220, act)["flags"]


def test_the_full_game_to_its_last_life(monkeypatch):
    start_at(monkeypatch, 100, LIFE=0)
    both = make_both("MarioTrain-v0", 3, level="full", timing="nes-py", reward="v9")
    counts = compare(*both, 130, hold_some(3, 5, 2))
    assert counts["terminated"]
    assert counts["died"] >= counts["terminated"]


def test_a_noop_that_ends_the_episode(monkeypatch):
    # Mario dies right at the start: the rest of the no-ops happens in the next episode.
    start_at(monkeypatch, 40, PLAYER_STATE=m.STATE_DYING)
    both = make_both(
        "MarioTrain-v0", 4, level="random", timing="nes-py", noop_max=6, reward="v9",
        autoreset_mode="SameStep",
    )  # fmt: skip
    compare(*both, 20, hold_some(4, 5, 2))


def test_a_cut_scene_at_the_end_of_a_world(monkeypatch):
    start_at(monkeypatch, 200, OPERATION_MODE=m.MODE_END_OF_WORLD)
    both = make_both(
        "MarioTrain-v0", 2, level="full", timing="nes-py", observation="ram", frame_skip=1
    )
    compare(*both, 12, hold_some(2, 5, 2))


def test_resets_with_seeds_levels_and_masks():
    vector, singles = make_both("MarioTrain-v0", 3, level="random", noop_max=5)
    np.testing.assert_equal(vector.reset(seed=0), singles.reset(seed=0))
    for options in (None, {"level": "4-1"}, {"level": "full"}, {"level": (2, 2)}):
        for seed in (None, 4, [7, None, 9]):
            ours = vector.reset(seed=seed, options=dict(options) if options else None)
            theirs = singles.reset(seed=seed, options=dict(options) if options else None)
            np.testing.assert_equal(ours, theirs)
    mask = np.array([True, False, True])
    ours = vector.reset(seed=1, options={"reset_mask": mask})
    assert_same(ours, singles.reset(seed=1, options={"reset_mask": mask}), "masked reset")


def test_a_schedule_is_copied_for_each_environment_or_shared():
    schedule = Sequential([Level(1, 1), Level(1, 2), Level(1, 3)])
    vector = gymnasium.make_vec("MarioTrain-v0", 3, level=schedule)
    assert list(vector.reset()[1]["level"]) == ["1-1"] * 3
    vector = gymnasium.make_vec("MarioTrain-v0", 3, levels=[schedule] * 3)
    assert list(vector.reset()[1]["level"]) == ["1-1", "1-2", "1-3"]


def test_every_level_begins_as_it_should():
    for game in ("smb", "lost_levels"):
        levels = [str(level) for level in all_levels(game)]
        both = make_both("MarioTrain-v0", len(levels), levels=levels, game=game, observation="ram")
        compare(*both, 8, hold_some(len(levels), 5, 0))
