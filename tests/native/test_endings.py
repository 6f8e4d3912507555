"""Ends of games in a vector: those of single environments, and nobody else's business."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from mario_envkit.emulator import native
from mario_envkit.env import MarioEnv
from mario_envkit.errors import ResetRequired
from mario_envkit.game import ram as m
from mario_envkit.game.levels import Level
from mario_envkit.game.rewards import Flag, Progress, RewardFunction, Warp
from mario_envkit.game.rules import GameStuck
from tests.native.vectors import assert_same, compare, hold_some, make_both
from tests.recorded import LAST_STAGES, TO_36_1, begin_late, last_run, warp_run

pytestmark = pytest.mark.skipif(not native.is_available(), reason="the native core is not built")

MODES = ["NextStep", "SameStep", "Disabled"]
TAIL = 40


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("timing", ["console", "nes-py"])
@pytest.mark.parametrize("game", LAST_STAGES)
def test_one_game_of_three_is_won(game, timing, mode, monkeypatch):
    run = last_run(game, timing)
    begin_late(monkeypatch, None, run.level, run.actions[:-TAIL])
    both = make_both(
        "Mario-v0", 3, game=game, level="full", timing=timing, observation="ram",
        autoreset_mode=mode,
    )  # fmt: skip
    tail = (*run.actions[-TAIL:], *[0x80] * 10)
    counts = compare(*both, len(tail), lambda number: np.array([0, tail[number], 0x40]))
    assert counts["terminated"] == 1


def test_a_game_is_won_between_two_decisions(monkeypatch):
    run = last_run("smb", "console")
    begin_late(monkeypatch, None, run.level, run.actions[:-2])
    both = make_both("MarioTrain-v0", 2, level="full", actions="raw", autoreset_mode="SameStep")
    assert compare(*both, 12, lambda number: np.array([run.actions[-1], 0]))["terminated"] > 1


WARPED = RewardFunction((Progress(), Flag(3), Warp(-7.5)), scale=0.5)


@pytest.mark.parametrize("reward", [WARPED, "v7"], ids=["warp", "v7"])
@pytest.mark.parametrize("batched", [False, True], ids=["native", "python"])
@pytest.mark.parametrize("level", ["1-2", "full"])
@pytest.mark.parametrize("end_on_exit", [True, False])
def test_warps(reward, batched, level, end_on_exit, monkeypatch):
    if batched:
        monkeypatch.setattr("mario_envkit.vector.pool.compile_reward", lambda function: None)
    run = warp_run()
    start = None if level == "full" else Level(1, 2)
    begin_late(monkeypatch, start, Level(1, 2), run[:-TAIL])
    both = make_both(
        "Mario-v0", 3, level=level, reward=reward, observation="ram", end_on_exit=end_on_exit,
        autoreset_mode="SameStep",
    )  # fmt: skip

    def act(number):
        byte = run[number - TAIL] if number < TAIL else 0x82
        return np.array([byte, byte if number % 2 else 0, 0x40])

    compare(*both, TAIL + 60, act)


def test_the_reward_of_a_warp(monkeypatch):
    run = warp_run()
    begin_late(monkeypatch, Level(1, 2), Level(1, 2), run[:-2])
    reward = RewardFunction((Flag(3), Warp(-7.5)), scale=0.5)
    env = gymnasium.make_vec("Mario-v0", 2, level="1-2", reward=reward, observation="ram")
    env.reset()
    env.step([run[-2]] * 2)
    _, rewards, terminated, _, infos = env.step([run[-1], 0])
    assert terminated.tolist() == [True, False]
    assert rewards.tolist() == [-3.75, 0]
    assert infos["ending"].tolist() == ["warp", ""]
    assert infos["reward_parts"]["warp"].tolist() == [-7.5, 0]


def test_the_flag_of_a_stage_is_no_warp_to_the_next(monkeypatch):
    env = gymnasium.make_vec("Mario-v0", 1, level="full", reward=WARPED, observation="ram")
    begin_late(monkeypatch, None, Level(1, 4), [0], OPERATION_MODE=m.MODE_END_OF_WORLD)
    env.reset()
    paid = [env.step([0])[4] for _ in range(3)]
    assert [infos["level"][0] for infos in paid] == ["1-4", "2-1", "2-1"]
    assert [infos["stages_cleared"][0] for infos in paid] == [1, 1, 1]
    assert [infos["reward_parts"]["flag"][0] for infos in paid] == [3, 0, 0]
    assert [infos["reward_parts"]["warp"][0] for infos in paid] == [0, 0, 0]


def test_the_minus_world(monkeypatch):
    *most, last = warp_run()
    monkeypatch.setattr(m, "WARP_ZONE", 0x06D6, raising=False)
    begin_late(monkeypatch, None, Level(1, 2), most, WARP_ZONE=TO_36_1)
    both = make_both("MarioTrain-v0", 2, level="full", actions="raw", stall_limit=30)
    compare(*both, 40, lambda number: np.array([last if number == 0 else 0x80, 0]))
    env = gymnasium.make_vec("Mario-v0", 1, level="full", observation="ram")
    env.reset()
    infos = [env.step([byte])[4] for byte in (last, 0x80, 0x80)]
    assert [info["level"][0] for info in infos] == ["36-1"] * 3
    assert [info["ending"][0] for info in infos] == [""] * 3


def test_no_none_in_infos(monkeypatch):
    run = warp_run()
    begin_late(monkeypatch, Level(1, 2), Level(1, 2), run[:-1])
    env = gymnasium.make_vec("Mario-v0", 3, level="1-2", autoreset_mode="SameStep")
    _, begin = env.reset()
    *_, infos = env.step([run[-1], 0, 0])
    _, masked = env.reset(options={"reset_mask": np.array([False, True, False])})
    for said in (begin, infos, infos["final_info"], masked):
        for key in ("death_cause", "ending", "level", "status"):
            assert {type(value) for value in said[key]} == {str}
    assert infos["final_info"]["ending"].tolist() == ["warp", "", ""]
    assert infos["ending"].tolist() == ["", "", ""]


@pytest.mark.parametrize("mode", MODES)
def test_a_stuck_game_is_named_and_the_others_go_on(mode, monkeypatch):
    true_start = MarioEnv.start_of

    def start_of(self, level):
        if level not in self._starts and str(level) == "1-3":
            true_start(self, level)
            self.emulator.ram[0x0776] = 1  # paused
            self.emulator.ram[m.PLAYER_STATE] = 0
            self._starts[level] = self.emulator.save()
        return true_start(self, level)

    monkeypatch.setattr(MarioEnv, "start_of", start_of)
    # The third dies in the step in which the second gets stuck.
    begin_late(monkeypatch, Level(1, 2), Level(1, 2), [0], PLAYER_STATE=m.STATE_DYING)
    levels = ["1-1", "1-3", "1-2"]
    env = gymnasium.make_vec(
        "Mario-v0", 3, levels=levels, autoreset_mode=mode, observation="ram", timing="console"
    )
    alone = gymnasium.make_vec("Mario-v0", 1, level="1-1", observation="ram", timing="console")
    env.reset()
    alone.reset()
    with pytest.raises(GameStuck, match=r"environments \[1\].*reset_mask"):
        env.step([0x80, 0, 0])
    alone.step([0x80])
    with pytest.raises(ResetRequired):
        env.step([0x80, 0, 0])
    mask = np.array([False, True, mode == "Disabled"])
    env.reset(options={"level": "1-1", "reset_mask": mask})
    for step in range(3):
        observations, rewards, _, truncated, infos = env.step([0x81, 0x81, 0])
        assert infos["frame"][1] == step + 1
        if step == 0:  # the third has begun anew
            assert infos["frame"][2] == (1 if mode == "Disabled" else 0)
        theirs = alone.step([0x81])
        assert_same(observations[:1], theirs[0], "observations")
        assert rewards[0] == theirs[1][0]
        assert infos["frame"][0] == theirs[4]["frame"][0]
    assert not truncated.any()


def test_random_games_agree_on_endings():
    both = make_both(
        "MarioTrain-v0", 4, level=["1-1", "4-1"], observation="ram", frame_stack=1,
        autoreset_mode="SameStep", reward=RewardFunction((Warp(2), Progress())),
    )  # fmt: skip
    assert compare(*both, 120, hold_some(4, 7, 8))["died"]
