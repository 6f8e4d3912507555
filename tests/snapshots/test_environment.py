"""MarioSnapshot-v0: what step and reset return, by both ways of restoring."""

from __future__ import annotations

import runpy
import sys
import warnings
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from mario_envkit.curriculum.hotspots import DeathHotspotAggregate
from mario_envkit.errors import ArchiveError, OptionError, SnapshotMismatch
from mario_envkit.game import ram as m
from mario_envkit.snapshots import (
    SnapshotArchive,
    SnapshotMarioEnvironment,
    create_snapshot_mario_env,
)
from mario_envkit.snapshots.archive import SUFFIX
from tests.snapshots.playing import draw_action

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "snapshot_env.py"
README = ROOT / "README.md"
FLAG_RUN = ROOT / "tests" / "native" / "flag-1-1.txt"


def run(env, steps, seed=0):
    """``(observation, reward, terminated, truncated, info)`` of every step; resets included."""
    rng = np.random.default_rng(seed)
    observation, info = env.reset(seed=seed)
    said = [(observation, 0.0, False, False, info)]
    for _ in range(steps):
        said.append(env.step(draw_action(env, rng)))
        if said[-1][2] or said[-1][3]:
            observation, info = env.reset()
            said.append((observation, 0.0, False, False, info))
    return said


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
        for info in (rest_a[-1], rest_b[-1]):
            info.pop("final_obs", None)
        assert rest_a == rest_b


def test_in_episode():
    env = gymnasium.make("MarioSnapshot-v0", checkpoint_interval=100)
    plain = gymnasium.make("MarioTrain-v0")
    rng = np.random.default_rng(0)
    observation, info = env.reset(seed=0)
    assert np.array_equal(observation, plain.reset(seed=0)[0])
    saves = {}
    saved = restores = gave_up = 0
    true_start = True
    for _ in range(2500):
        action = draw_action(env, rng)
        observation, reward, terminated, truncated, info = env.step(action)
        assert observation in env.observation_space
        if true_start:  # up to the first death it is the game without snapshots
            expected, plain_reward, over, _, plain_info = plain.step(action)
            death = info["final_obs"] if info["snapshot_restored"] else observation
            assert np.array_equal(death, expected)
            assert reward == plain_reward
            said = info["final_info"] if info["snapshot_restored"] else info
            assert {**said, "snapshot_saved": False} == plain_info
            true_start = not over
        if info["snapshot_saved"]:
            saved += 1
            saves[info["frame"], info["x_pos"]] = observation
            assert not info["life_lost"]
        assert info["snapshot_restored"] == ("final_obs" in info)
        if info["snapshot_restored"]:
            restores += 1
            assert not terminated
            assert not truncated
            assert info["life_lost"]
            assert info["died"]
            assert info["death_cause"] == info["final_info"]["death_cause"] is not None
            assert info["final_info"]["died"]
            assert info["reward_parts"] == info["final_info"]["reward_parts"]
            assert np.array_equal(saves[info["frame"], info["x_pos"]], observation)
        elif terminated:
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
    saves, begins = {}, []
    for _ in range(1500):
        observation, _, terminated, truncated, info = env.step(draw_action(env, rng))
        assert not info["snapshot_restored"]
        assert info["life_lost"] == info["died"] == (terminated and not info["flag_get"])
        assert "final_obs" not in info
        if info["snapshot_saved"]:
            saves[info["frame"], info["x_pos"]] = observation
        if terminated or truncated:
            observation, info = env.reset()
            begins.append(info["snapshot_restored"])
            assert not info["life_lost"]
            if info["snapshot_restored"]:
                assert np.array_equal(saves[info["frame"], info["x_pos"]], observation)
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


def play_to_death(env):
    for _ in range(400):
        *_, terminated, _, info = env.step(1)  # right, into the first enemy
        if terminated:
            assert info["died"]
            return
    pytest.fail("walking right on 1-1 ends in the first enemy")


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
    death_x = info["final_info"]["x_pos"]
    assert death_x // 25 == 11
    assert env.handler.hotspots.aggregate.suggest_restore_position("1-1", death_x) == nearest
    assert nearest - 25 < info["x_pos"] <= nearest


def test_deaths_reach_the_file_and_other_environments(tmp_path):
    path = tmp_path / "hotspots.json"
    env = create_snapshot_mario_env(hotspot_path=path)
    env.reset(seed=0)
    play_to_death(env)
    env.close()
    env.close()
    assert DeathHotspotAggregate.load_or_create(path).deaths("1-1") == 1
    other = create_snapshot_mario_env(hotspot_path=path)
    assert other.handler.hotspots.aggregate.deaths("1-1") == 1


def test_a_directory_carries_snapshots_to_another_environment(tmp_path):
    directory = tmp_path / "snapshots"
    env = create_snapshot_mario_env(checkpoint_interval=50, archive=directory)
    run(env, 200)
    kept = {entry.place for entry in env.handler.archive}
    env.close()
    assert len(list(directory.glob("*" + SUFFIX))) == len(kept) > 0
    other = create_snapshot_mario_env(checkpoint_interval=10**6, archive=directory)
    assert {entry.place for entry in other.handler.archive} == kept
    said = run(other, 200)
    assert other.total_saves == 0
    assert other.total_restores > 0
    assert any(info["snapshot_restored"] for *_, info in said)


def test_environments_can_share_an_archive():
    archive = SnapshotArchive()
    first = create_snapshot_mario_env(checkpoint_interval=50, archive=archive)
    second = create_snapshot_mario_env(checkpoint_interval=10**6, archive=archive)
    run(first, 200)
    run(second, 200)
    assert second.total_restores > 0
    assert len(archive) > 0, "a seed does not empty what others use"


def test_bad_arguments(tmp_path):
    with pytest.raises(OptionError, match="in_episode, on_reset"):
        create_snapshot_mario_env(restore="sometimes")
    with pytest.raises(OptionError, match="checkpoint_interval=0"):
        create_snapshot_mario_env(checkpoint_interval=0)
    with pytest.raises(OptionError, match="RecordEpisodeStatistics"):
        SnapshotMarioEnvironment(
            gymnasium.wrappers.RecordEpisodeStatistics(gymnasium.make("MarioTrain-v0"))
        )
    blocked = tmp_path / "a file"
    blocked.write_text("")
    with pytest.raises(ArchiveError, match="cannot be written"):
        create_snapshot_mario_env(archive=blocked)
    env = create_snapshot_mario_env()
    env.reset(seed=0)
    with pytest.raises(OptionError, match="nothing to restore"):
        env.handler.restore()


@pytest.mark.parametrize(
    ("kwargs", "says"),
    [
        ({"timing": "nes-py"}, "taken on the core"),
        ({"frame_stack": 2}, "observations"),
        ({"screen_size": 64}, "observations"),
        ({"reward": "progress"}, "same reward"),
        ({"stall_limit": 9}, "same arguments"),
    ],
)
def test_an_archive_of_something_else_is_an_error(tmp_path, kwargs, says):
    env = create_snapshot_mario_env(checkpoint_interval=50, archive=tmp_path)
    run(env, 100)
    env.close()
    with pytest.raises(SnapshotMismatch, match=says):
        create_snapshot_mario_env(archive=tmp_path, **kwargs)


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


def python_blocks(mark: str) -> list[str]:
    readme = README.read_text()
    section = readme[readme.index(f"### {mark}") :]
    section = section[: section.index("\n### ", 4)]
    return [block.split("```")[0] for block in section.split("```python\n")[1:]]


def test_the_readme_runs_as_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    playing, asking = python_blocks("Practise where Mario dies")

    class Agent:
        rng = np.random.default_rng(0)

        def act(self, obs):
            return int(self.rng.choice([1, 2, 3, 4]))  # to the right, jumping now and then

    exec(playing, {"agent": Agent()})
    said = capsys.readouterr().out
    for what, line in (("saves", "Saved snapshot at x="), ("restores", "Restored from snapshot!")):
        assert said.count(line) > 0
        assert f"Total {what}: {said.count(line)}\n" in said
    earlier = DeathHotspotAggregate(path=Path("death_hotspots.json"))
    earlier.record_deaths_batch("1-1", [510] * 45 + [549] * 21 + [775] * 12)
    earlier.save()
    asked = {}
    exec(asking, asked)
    assert asked["hotspots"] == [(500, 47), (525, 23), (775, 12)]
    assert (asked["positions"], asked["restore"]) == ([475, 750], 450)


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
            assert infos["final_obs"][index].shape == (4, 84, 84)
            assert infos["life_lost"][index]
            assert not terminated[index]
    assert restored
    envs.close()


def test_the_example(tmp_path, monkeypatch, capsys):
    path = tmp_path / "death_hotspots.json"
    for _ in range(2):
        monkeypatch.setattr(sys, "argv", [str(EXAMPLE), str(path)])
        runpy.run_path(str(EXAMPLE), run_name="__main__")
    said = capsys.readouterr().out
    for line in ("Saved snapshot at x=", "Restored from snapshot at x=", "Total restores: "):
        assert line in said
    assert DeathHotspotAggregate.load_or_create(path).get_hotspots("1-1")
    assert len(EXAMPLE.read_text().splitlines()) < 80
