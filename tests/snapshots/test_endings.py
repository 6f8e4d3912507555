"""Snapshots and the ways an episode ends: warps, won games, lost lives."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

from mario_envkit.curriculum.hotspots import DeathHotspotAggregate
from mario_envkit.curriculum.level_stats import LevelStats
from mario_envkit.curriculum.schedule import Weighted
from mario_envkit.emulator import native
from mario_envkit.errors import LevelError
from mario_envkit.game import ram as m
from mario_envkit.game.levels import Level
from mario_envkit.maps import draw_level
from mario_envkit.snapshots import Context, SnapshotArchive, create_snapshot_mario_env
from tests.native.vectors import assert_same
from tests.recorded import LAST_STAGES, TO_36_1, ZONE, begin_late, last_run, warp_run
from tests.snapshots.playing import run
from tests.snapshots.vectors import MODES, assert_equal_for, make_both

pytestmark = pytest.mark.skipif(not native.is_available(), reason="the native core is not built")

RAW: dict[str, Any] = {
    "actions": "raw", "frame_skip": 1, "frame_stack": 1, "observation": "ram",
    "screen_size": None, "grayscale": False,
}  # fmt: skip
TAIL = 30


def play(env: Any, actions: Any) -> dict[str, Any]:
    """The last info, which is that of the end of the episode if it ends."""
    for action in actions:
        *_, terminated, truncated, info = env.step(action)
        assert not truncated
        if terminated:
            break
    assert terminated == (info["ending"] != "")
    return info


def level_figures(env: Any, level: str) -> tuple[int, ...]:
    stats = env.get_stats()["levels"][level]
    return tuple(stats[key] for key in ("attempts", "completions", "warps", "deaths"))


@pytest.mark.parametrize("restore", ["in_episode", "on_reset"])
def test_a_warp_is_no_completion(restore, monkeypatch):
    begin_late(monkeypatch, Level(1, 2), Level(1, 2), warp_run()[:-TAIL])
    env = create_snapshot_mario_env("1-2", restore=restore, **RAW)
    env.reset(seed=0)
    info = play(env, warp_run()[-TAIL:])
    assert info["ending"] == "warp"
    assert set(env.get_stats()["levels"]) == {"1-2"}, "what follows was never begun"
    assert level_figures(env, "1-2") == (1, 0, 1, 0)
    assert env.get_stats()["levels"]["1-2"]["best_x"] == info["x_pos"]
    assert env.handler.hotspots.aggregate.levels == ()
    _, info = env.reset()
    assert not info["snapshot_restored"]
    assert env.total_restores == 0


def test_without_end_on_exit_the_next_stage_is_no_true_start(monkeypatch):
    begin_late(monkeypatch, Level(1, 2), Level(1, 2), warp_run()[:-TAIL])
    env = create_snapshot_mario_env(
        "1-2", restore="on_reset", max_restores_without_progress=0, end_on_exit=False, **RAW
    )
    env.reset(seed=0)
    info = play(env, [*warp_run()[-TAIL:], *[0x82] * 400])
    assert (info["ending"], info["level"]) == ("enemy", "2-1")
    assert level_figures(env, "1-2") == (1, 0, 1, 0)
    assert level_figures(env, "2-1") == (0, 0, 0, 1)


@pytest.mark.parametrize("skip", [1, 4])
def test_in_the_full_game_a_warp_begins_the_next_stage_truly(skip, monkeypatch):
    actions = warp_run()
    begin_late(monkeypatch, None, Level(1, 2), actions[:-1])
    env = create_snapshot_mario_env(
        "full", max_restores_without_progress=0, checkpoint_interval=60,
        **{**RAW, "frame_skip": skip},
    )  # fmt: skip
    env.reset(seed=0)
    for action in [actions[-1], *[0x82] * 400]:
        *_, terminated, _, info = env.step(action)
        saved = info["snapshot_saved"]
        assert not (saved and info["level"] == "2-1" and info["frame"] > 1000), "in between"
        if terminated:
            break
    assert (info["ending"], info["level"]) == ("enemy", "2-1")
    assert level_figures(env, "1-2") == (1, 0, 1, 0)
    assert level_figures(env, "2-1") == (1, 0, 0, 1)
    assert 40 < env.get_stats()["levels"]["2-1"]["best_x"] < 1000, "of 2-1, not of the warp zone"
    assert env.total_saves > 1, "the count of frames began anew"


def test_in_the_full_game_a_flag_completes_its_stage(monkeypatch):
    begin_late(monkeypatch, None, Level(1, 4), [0], OPERATION_MODE=m.MODE_END_OF_WORLD)
    env = create_snapshot_mario_env("full", max_restores_without_progress=0, **RAW)
    env.reset(seed=0)
    info = play(env, [0, *[0x82] * 400])
    assert (info["ending"], info["stages_cleared"]) == ("enemy", 1)
    assert level_figures(env, "1-4") == (1, 1, 0, 0)
    assert level_figures(env, "2-1") == (1, 0, 0, 1)


@pytest.mark.parametrize("restore", ["in_episode", "on_reset"])
@pytest.mark.parametrize("game", LAST_STAGES)
def test_a_won_game(game, restore, monkeypatch):
    recorded = last_run(game, "console")
    begin_late(monkeypatch, None, recorded.level, recorded.actions[:-TAIL])
    env = create_snapshot_mario_env("full", game=game, restore=restore, **RAW)
    env.reset(seed=0)
    info = play(env, recorded.actions[-TAIL:])
    assert (info["ending"], info["flag_get"]) == ("flag", True)
    assert level_figures(env, str(recorded.level)) == (1, 1, 0, 0)
    env.reset()


@pytest.mark.parametrize("restore", ["in_episode", "on_reset"])
def test_the_end_of_a_game_with_lives_left(restore):
    env = create_snapshot_mario_env(
        "full", restore=restore, checkpoint_interval=60, max_restores_without_progress=1
    )
    endings = set()
    for _, _, terminated, truncated, info in run(env, 1200):
        assert (info["ending"] != "") == (terminated and not truncated)
        if terminated:
            assert info["ending"] == info["death_cause"]
            assert info["life"] > 0
            endings.add(info["ending"])
    assert endings
    assert env.total_restores


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("restore", ["in_episode", "on_reset"])
@pytest.mark.parametrize("end_on_exit", [True, False])
@pytest.mark.slow
def test_vectors_agree_on_warps(mode, restore, end_on_exit, monkeypatch):
    actions = warp_run()
    begin_late(monkeypatch, None, Level(1, 2), actions[:-TAIL])
    begin_late(monkeypatch, Level(1, 2), Level(1, 2), actions[:-TAIL])
    both = make_both(
        3, levels=["full", "1-2", "full"], restore=restore, autoreset_mode=mode,
        checkpoint_interval=50, end_on_exit=end_on_exit, **RAW,
    )  # fmt: skip

    def act(number):
        byte = actions[number - TAIL] if number < TAIL else 0x82
        return np.array([byte, byte, 0x82])

    stats = assert_equal_for(*both, 450, act)
    assert stats["levels"]["1-2"]["warps"] >= 2
    assert stats["levels"]["2-1"]["attempts"], "of the full game"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("restore", ["in_episode", "on_reset"])
def test_vectors_agree_on_won_games(mode, restore, monkeypatch):
    recorded = last_run("smb", "console")
    begin_late(monkeypatch, None, recorded.level, recorded.actions[:-TAIL])
    both = make_both(
        2, level="full", restore=restore, autoreset_mode=mode, checkpoint_interval=20, **RAW
    )
    tail = [*recorded.actions[-TAIL:], *[0x80] * 30]
    stats = assert_equal_for(*both, len(tail), lambda number: np.array([tail[number], 0]))
    assert stats["levels"]["8-4"]["completions"] == 1


def test_vectors_agree_on_games_given_up():
    both = make_both(
        2, level="full", restore="on_reset", autoreset_mode="SameStep", checkpoint_interval=60,
        max_restores_without_progress=1,
    )  # fmt: skip
    rng = np.random.default_rng(3)
    stats = assert_equal_for(*both, 300, lambda number: rng.integers(1, 4, 2))
    assert stats["total_give_ups"]


def test_the_minus_world_is_a_place(tmp_path, monkeypatch):
    *most, last = warp_run()
    monkeypatch.setattr(m, "WARP_ZONE", ZONE, raising=False)
    begin_late(monkeypatch, None, Level(1, 2), most, WARP_ZONE=TO_36_1)
    kwargs = {**RAW, "checkpoint_interval": 30, "stall_limit": 400, "level": "full"}
    single = create_snapshot_mario_env(
        archive=tmp_path / "archive", hotspot_path=tmp_path / "deaths.json", **kwargs
    )
    single.reset(seed=0)
    for action in (last, *[0x80] * 100):
        *_, info = single.step(action)
    assert info["level"] == "36-1"
    single.handler.hotspots.record_death("36-1", 400, info["area"])
    stats = single.get_stats()["levels"]
    single.close()
    assert stats["1-2"]["warps"] == 1
    archive = SnapshotArchive.load(tmp_path / "archive")
    (entry, *_) = (entry for entry in archive if entry.place.level == "36-1")
    assert DeathHotspotAggregate.load_or_create(tmp_path / "deaths.json").levels == ("36-1",)
    vector = gymnasium.make_vec("MarioSnapshot-v0", 1, **kwargs)
    vector.reset(seed=0)
    vector.slots[0].load(entry.saved)
    vector.pool.restart_at(0, entry.observation, entry.info)
    assert vector.step([0x80])[-1]["level"].tolist() == ["36-1"]
    with pytest.raises(LevelError, match="36-1"):
        draw_level("36-1")
    known = LevelStats(attempts=4, warps=1)
    assert Weighted([Level(1, 2)], stats={"36-1": known}).weights() == {Level(1, 2): 1}


def test_a_snapshot_knows_what_was_cleared(monkeypatch):
    begin_late(monkeypatch, None, Level(1, 4), [0], OPERATION_MODE=m.MODE_END_OF_WORLD)
    single = gymnasium.make("MarioTrain-v0", level="full", **RAW)
    vector = gymnasium.make_vec("MarioSnapshot-v0", 1, level="full", **RAW)
    single.reset(seed=0)
    vector.reset(seed=0)
    context = Context(single.unwrapped)
    for action in (0, 0x80, 0x80):
        *_, info = single.step(action)
        *_, infos = vector.step([action])
    assert (info["stages_cleared"], infos["stages_cleared"][0]) == (1, 1)
    slot = vector.slots[0]
    saved, ours = context.save(), slot.save()
    assert_same(ours.layers[0], saved.layers[0], "what the game remembers")
    single.reset()
    vector.reset()
    context.load(saved)
    slot.load(ours)
    vector.pool.restart_at(0, np.zeros(2048, np.uint8), info)
    for _ in range(3):
        assert single.step(0x80)[-1]["stages_cleared"] == 1
        assert vector.step([0x80])[-1]["stages_cleared"].tolist() == [1]
