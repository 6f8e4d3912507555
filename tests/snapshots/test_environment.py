"""MarioSnapshot-v0: what step and reset return, by both ways of restoring."""

from __future__ import annotations

import warnings
from collections import defaultdict
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from mario_envkit.curriculum.hotspots import DeathHotspotAggregate
from mario_envkit.game import ram as m
from mario_envkit.snapshots import (
    SnapshotMarioEnvironment,
    create_snapshot_mario_env,
)
from mario_envkit.snapshots.handler import SnapshotHandler
from mario_envkit.snapshots.session import blank_info
from mario_envkit.snapshots.state_machine import QuietStretch
from tests.snapshots.playing import draw_action, play_to_death, run

ROOT = Path(__file__).parents[2]
FLAG_RUN = ROOT / "tests" / "native" / "flag-1-1.txt"


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"restore": "on_reset"},
        {"checkpoint_interval": 10, "repeat_action_probability": 0.25, "stall_limit": 20},
    ],
)
def test_gymnasium_finds_nothing_to_complain_about(kwargs, monkeypatch):
    pytest.importorskip("pygame", reason="the check opens a window")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Said of every environment with wrappers; the wrappers are what is checked here.
        warnings.filterwarnings("ignore", message=".*is different from the unwrapped version.*")
        check_env(gymnasium.make("MarioSnapshot-v0", **kwargs))


@pytest.mark.parametrize("restore", ["in_episode", "on_reset"])
def test_a_seed_decides_everything(restore):
    env = create_snapshot_mario_env(checkpoint_interval=100, restore=restore, level=["1-1", "1-2"])
    once, again = run(env, 300), run(env, 300)
    assert env.total_restores > 4
    for (a, *rest_a), (b, *rest_b) in zip(once, again, strict=True):
        assert np.array_equal(a, b)
        deaths = [rest[-1].pop("life_lost_obs", 0) for rest in (rest_a, rest_b)]
        assert np.array_equal(*deaths)
        assert rest_a == rest_b


def test_in_episode():
    env = gymnasium.make(
        "MarioSnapshot-v0", checkpoint_interval=100, max_restores_without_progress=1
    )
    plain = gymnasium.make("MarioTrain-v0")
    rng = np.random.default_rng(0)
    observation, info = env.reset(seed=0)
    assert np.array_equal(observation, plain.reset(seed=0)[0])
    saves = defaultdict(list)
    saved = restores = gave_up = 0
    true_start = True
    for _ in range(2500):
        action = draw_action(env, rng)
        observation, reward, terminated, truncated, info = env.step(action)
        assert observation in env.observation_space
        if true_start:  # up to the first death it is the game without snapshots
            expected, plain_reward, over, _, plain_info = plain.step(action)
            death = info["life_lost_obs"] if info["snapshot_restored"] else observation
            assert np.array_equal(death, expected)
            assert reward == plain_reward
            said = info["life_lost_info"] if info["snapshot_restored"] else info
            said = {key: said[key] for key in plain_info}
            assert {**said, "snapshot_saved": False} == plain_info
            true_start = not over
        if info["snapshot_saved"]:
            saved += 1
            saves[info["frame"], info["x_pos"]].append(observation)
            assert not info["life_lost"]
        assert "final_obs" not in info
        assert "final_info" not in info
        assert info["life_lost_obs"].dtype == np.uint8
        assert info["life_lost_info"].keys() == info.keys() - {"life_lost_obs", "life_lost_info"}
        if not info["snapshot_restored"]:
            assert not info["life_lost_obs"].any()
            assert info["life_lost_info"] == blank_info(info["life_lost_info"])
        else:
            restores += 1
            assert not terminated
            assert not truncated
            assert info["life_lost"]
            assert info["died"]
            assert info["death_cause"] == info["life_lost_info"]["death_cause"] != ""
            assert (info["ending"], info["life_lost_info"]["ending"]) == ("", info["death_cause"])
            assert info["life_lost_info"]["died"]
            assert info["reward_parts"] == info["life_lost_info"]["reward_parts"]
            known = saves[info["frame"], info["x_pos"]]
            assert any(np.array_equal(each, observation) for each in known)
        if terminated:
            gave_up += info["died"]
            assert info["life_lost"] != info["flag_get"]
            observation, info = env.reset()
            assert info["frame"] == 0
            plain.reset()
            true_start = True
    assert restores > 10
    assert gave_up
    assert env.get_wrapper_attr("total_restores") == restores
    assert env.get_wrapper_attr("total_saves") == saved


def test_on_reset():
    env = gymnasium.make("MarioSnapshot-v0", restore="on_reset", checkpoint_interval=100)
    rng = np.random.default_rng(0)
    env.reset(seed=0)
    saves, begins = defaultdict(list), []
    for _ in range(1500):
        observation, _, terminated, truncated, info = env.step(draw_action(env, rng))
        assert not info["snapshot_restored"]
        assert info["life_lost"] == info["died"] == (terminated and not info["flag_get"])
        assert "life_lost_obs" not in info
        assert "life_lost_info" not in info
        if info["snapshot_saved"]:
            saves[info["frame"], info["x_pos"]].append(observation)
        if terminated or truncated:
            observation, info = env.reset()
            begins.append(info["snapshot_restored"])
            assert not info["life_lost"]
            if info["snapshot_restored"]:
                known = saves[info["frame"], info["x_pos"]]
                assert any(np.array_equal(each, observation) for each in known)
            else:
                assert info["frame"] == 0
    assert True in begins
    assert False in begins
    assert env.get_wrapper_attr("total_restores") == sum(begins)


@pytest.mark.parametrize(
    "reset", [{"seed": 3}, {"options": {"true_start": True}}, {"options": {"level": "1-2"}}]
)
def test_a_true_start_can_be_asked_for(reset):
    env = create_snapshot_mario_env(restore="on_reset", checkpoint_interval=50)
    env.reset(seed=0)
    play_to_death(env)
    assert env.reset()[1]["snapshot_restored"]
    play_to_death(env)
    _, info = env.reset(**reset)
    assert not info["snapshot_restored"]
    assert info["frame"] == 0
    assert env.get_stats()["restores_without_progress"] == 0


def test_both_ways_of_restoring_are_the_same_game():
    stats = []
    for restore in ("in_episode", "on_reset"):
        env = create_snapshot_mario_env(checkpoint_interval=100, restore=restore)
        run(env, 1000)
        stats.append(env.get_stats())
    assert stats[0] == stats[1]


def test_three_restores_then_a_true_start_and_the_doomed_snapshot_is_gone():
    env = create_snapshot_mario_env(checkpoint_interval=100)
    env.reset(seed=0)
    deaths = 0
    while True:
        *_, terminated, _, info = env.step(1)
        deaths += info["life_lost"]
        if terminated:
            break
    assert deaths == 4
    stats = env.get_stats()
    assert (stats["total_restores"], stats["total_give_ups"]) == (3, 1)
    # The one it practised from is dropped; the one nearer to the enemy it could not use is not.
    places = [entry.x_pos for entry in env.handler.archive]
    env.reset()
    assert env.get_stats()["restores_without_progress"] == 0
    assert stats["levels"]["1-1"]["attempts"] == 1
    assert stats["levels"]["1-1"]["deaths"] == 4
    assert all(entry.practice.attempts < 3 for entry in env.handler.archive), places


def test_who_plays_on_after_giving_up_is_told_so():
    env = create_snapshot_mario_env(max_restores_without_progress=0)
    env.reset(seed=0)
    play_to_death(env)
    with pytest.raises(gymnasium.error.ResetNeeded, match="over"):
        env.step(0)
    assert not env.reset()[1]["died"]
    assert not env.step(1)[2]


def test_a_death_by_the_clock_is_not_restored():
    env = create_snapshot_mario_env(checkpoint_interval=4)
    env.reset(seed=0)
    env.step(0)
    assert env.step(0)[4]["snapshot_saved"]
    ram = env.unwrapped.emulator.ram
    for address in m.TIME:
        ram[address] = 0
    for _ in range(100):
        *_, terminated, _, info = env.step(0)
        if info["died"]:
            break
    assert info["death_cause"] == "clock"
    assert terminated
    assert env.total_restores == 0


def test_it_saves_before_hotspots(tmp_path):
    path = tmp_path / "hotspots.json"
    known = DeathHotspotAggregate(path=path)
    known.record_deaths_batch("1-1", [310] * 5)
    known.save()
    env = create_snapshot_mario_env(hotspot_path=path, checkpoint_interval=10**6)
    env.reset(seed=0)
    for _ in range(400):
        *_, info = env.step(1)
        if info["snapshot_saved"]:
            break
    assert 225 <= info["x_pos"] <= 275
    *_, info = env.step(1)
    assert not info["snapshot_saved"], "once for each approach"


@pytest.mark.parametrize(("known", "nearest"), [([], 225), ([225, 250, 275], 175)])
def test_the_suggested_restore_position_counts(tmp_path, known, nearest):
    path = tmp_path / "hotspots.json"
    hotspots = DeathHotspotAggregate(path=path)
    hotspots.record_deaths_batch("1-1", known * 3)
    hotspots.save()
    env = create_snapshot_mario_env(hotspot_path=path, checkpoint_interval=4)
    env.reset(seed=0)
    for _ in range(400):
        *_, info = env.step(1)
        if info["snapshot_restored"]:
            break
    death_x = info["life_lost_info"]["x_pos"]
    assert death_x // 25 == 11
    assert env.handler.hotspots.aggregate.suggest_restore_position("1-1", death_x) == nearest
    assert nearest - 25 < info["x_pos"] <= nearest


@pytest.mark.parametrize("level", [["1-1", "1-2", "5-2"], "full"], ids=str)
def test_quiet_stretches_change_nothing(level, monkeypatch):
    """Where there are none the state machine is asked in every step."""
    kwargs = {"checkpoint_interval": 60, "level": level}

    def told(env):
        said = [(step[1:4], step[4]["frame"], step[4]["snapshot_saved"]) for step in run(env, 900)]
        return said, env.get_stats()

    usual = told(create_snapshot_mario_env(**kwargs))
    nowhere = QuietStretch(first_x=1, last_x=0, due_tick=0)
    monkeypatch.setattr(SnapshotHandler, "quiet_stretch", lambda self: nowhere)
    assert usual == told(create_snapshot_mario_env(**kwargs))


def test_a_lost_life_in_the_full_game():
    env = create_snapshot_mario_env(level="full", checkpoint_interval=100)
    for *_, terminated, _, info in run(env, 600):
        if info["snapshot_restored"]:
            assert not terminated
            assert info["life"] == 2, "the life is back as well"
    assert env.total_restores > 3


def test_success_counts_from_true_starts_only():
    env = create_snapshot_mario_env(checkpoint_interval=100)
    flags = sum(info["flag_get"] for *_, terminated, _, info in run(env, 1200) if terminated)
    assert flags, "this run was meant to reach the flag, after many restores"
    assert env.total_restores
    stats = env.get_stats()["levels"]["1-1"]
    assert (stats["completions"], stats["completion_rate"], stats["best_time"]) == (0, 0, None)

    env = create_snapshot_mario_env(frame_skip=1, actions="raw", timing="nes-py")
    env.reset(seed=0)
    frames = 0
    for held in FLAG_RUN.read_text().split("\n")[2].split():
        buttons, count = (int(number) for number in held.split("x"))
        for _ in range(count):
            *_, terminated, _, info = env.step(buttons)
            frames += 1
            if terminated:
                break
    assert info["flag_get"]
    stats = env.get_stats()["levels"]["1-1"]
    assert (stats["attempts"], stats["completions"], stats["deaths"]) == (1, 1, 0)
    assert stats["best_time"] == info["frame"] >= frames
    assert stats["best_x"] > 3000


def test_it_goes_around_a_made_environment():
    inner = gymnasium.make("MarioTrain-v0", max_episode_steps=150)
    env = SnapshotMarioEnvironment(inner, checkpoint_interval=50)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(0)
    env.reset(seed=0)
    steps_to_end = []
    steps = 0
    for _ in range(700):
        *_, terminated, truncated, info = env.step(1)
        steps += 1
        if terminated or truncated:
            assert not info["snapshot_restored"]
            steps_to_end.append((steps, truncated))
            env.reset()
            steps = 0
    assert env.total_restores
    assert steps_to_end


def test_gymnasium_vector_environments_take_it():
    make = dict(num_envs=2, checkpoint_interval=50)
    envs = gymnasium.make_vec("MarioSnapshot-v0", **make)
    envs.reset(seed=0)
    restored = 0
    for _ in range(150):
        observations, _, terminated, _, infos = envs.step(np.array([1, 1]))
        assert observations.shape == (2, 4, 84, 84)
        if infos["snapshot_restored"].any():
            restored += 1
            index = int(np.flatnonzero(infos["snapshot_restored"])[0])
            assert "final_obs" not in infos
            assert infos["life_lost_obs"][index].any()
            assert infos["life_lost"][index]
            assert not terminated[index]
    assert restored
    envs.close()
