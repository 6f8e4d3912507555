"""Files and archives that environments share, bad arguments, and the documented examples."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from mario_agents.acting.environments import make_vector
from mario_envkit.curriculum.hotspot_file import SharedHotspots
from mario_envkit.curriculum.hotspots import DeathHotspotAggregate
from mario_envkit.errors import ArchiveError, OptionError, SnapshotMismatch
from mario_envkit.snapshots import (
    MarioSnapshotVectorEnv,
    SnapshotArchive,
    SnapshotMarioEnvironment,
    create_snapshot_mario_env,
)
from mario_envkit.snapshots.archive import SUFFIX
from tests.snapshots.playing import play_to_death, run

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "snapshot_env.py"


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


def test_who_only_reads_hotspots_never_writes_them(tmp_path):
    path = tmp_path / "hotspots.json"
    envs = (
        create_snapshot_mario_env(hotspot_path=path, hotspots="read"),
        gymnasium.make_vec("MarioSnapshot-v0", 2, hotspot_path=path, hotspots="read"),
    )
    for env in envs:
        env.reset(seed=0)
        for _ in range(300):
            *_, terminated, _, _ = env.step(1 if env is envs[0] else np.array([1, 1]))
            if env is envs[0] and terminated:
                env.reset()
        env.sync_files()
        assert not path.exists()
    own = envs[0].handler.hotspots.aggregate.deaths("1-1")
    assert own > 1, "it knows of its own deaths, as long as nobody else does"
    gathered = DeathHotspotAggregate(path=path)
    gathered.record_deaths_batch("1-1", [300] * 99)
    gathered.save()
    written = path.read_bytes()
    for env in envs:
        env.sync_files()
        handlers = env.handlers if env is envs[1] else [env.handler]
        assert [h.hotspots.aggregate.deaths("1-1") for h in handlers] == [99] * len(handlers)
        env.close()
    assert path.read_bytes() == written
    with pytest.raises(OptionError, match="hotspots='write'"):
        create_snapshot_mario_env(hotspots="write")


def test_workers_hear_of_each_other_when_they_sync(tmp_path):
    path, directory = tmp_path / "hotspots.json", tmp_path / "snapshots"
    kwargs = {"hotspot_path": path, "archive": directory, "checkpoint_interval": 50}
    first, second = (gymnasium.make_vec("MarioSnapshot-v0", 2, **kwargs) for _ in "ab")
    first.reset(seed=0)
    for _ in range(200):
        first.step(np.array([1, 2]))
    assert not path.exists()
    first.sync_files()
    deaths = DeathHotspotAggregate.load_or_create(path).deaths("1-1")
    assert deaths > 2
    places = {entry.place for handler in first.handlers for entry in handler.archive}
    assert not any(len(handler.archive) for handler in second.handlers)
    second.sync_files()
    for handler in second.handlers:
        assert handler.hotspots.aggregate.deaths("1-1") == deaths
        assert {entry.place for entry in handler.archive} <= places
        assert len(handler.archive)
    first.close()
    second.close()
    assert DeathHotspotAggregate.load_or_create(path).deaths("1-1") == deaths


def test_games_of_a_vector_know_at_once_what_one_of_them_finds_out(tmp_path):
    files = {"hotspot_path": tmp_path / "hotspots.json", "archive": tmp_path / "snapshots"}
    together = gymnasium.make_vec("MarioSnapshot-v0", 2, checkpoint_interval=50, **files)
    apart = gymnasium.make_vec("MarioSnapshot-v0", 2, checkpoint_interval=50)
    for env, shared in ((together, True), (apart, False)):
        env.reset(seed=0)
        for _ in range(100):
            env.step(np.array([1, 0]))  # the first walks into an enemy, the second stands still
        deaths = [handler.hotspots.aggregate.deaths("1-1") for handler in env.handlers]
        assert deaths[0] > 0
        assert deaths[1] == (deaths[0] if shared else 0)
        first, second = (handler.archive for handler in env.handlers)
        assert (first is second) == shared
        env.close()


def test_a_game_goes_back_to_where_it_passed_not_to_where_another_one_did():
    archive = SnapshotArchive()
    ways = []
    for idle in (0, 6):  # the second game is later everywhere, and meets other enemies
        deaths = SharedHotspots()
        for _ in range(3):
            deaths.record_death("1-1", 300)
        env = create_snapshot_mario_env(
            archive=archive, hotspots=deaths, checkpoint_interval=10**6, stall_limit=None
        )
        _, info = env.reset(seed=0)
        way = {(info["x_pos"], info["frame"])}
        for number in range(200):
            *_, info = env.step(0 if number < idle else 1)
            if info["snapshot_restored"]:
                break
            way.add((info["x_pos"], info["frame"]))
        assert info["snapshot_restored"]
        assert (info["x_pos"], info["frame"]) in way
        ways.append(way)
        env.close()
        assert len(archive) == 1
        for kept in archive:  # so that it keeps the first one's
            archive.record(kept, success=True)
    assert (info["x_pos"], info["frame"]) not in ways[0]


def test_hotspots_are_given_once(tmp_path):
    known = SharedHotspots(tmp_path / "hotspots.json")
    env = create_snapshot_mario_env(hotspots=known)
    assert env.handler.hotspots is known
    env.close()
    with pytest.raises(OptionError, match="give one of them"):
        create_snapshot_mario_env(hotspots=known, hotspot_path=tmp_path / "other.json")


def test_figures_of_a_vector():
    env = gymnasium.make_vec("MarioSnapshot-v0", 3, checkpoint_interval=50)
    env.reset(seed=0)
    stats = env.get_stats()
    while not stats["restores_without_progress"]:  # the first of them soon dies, and comes back
        env.step(np.array([1, 2, 0]))
        stats = env.get_stats()
    each = stats["environments"]
    assert len(each) == 3
    assert stats["total_restores"] == sum(own["total_restores"] for own in each) > 0
    stuck = [own["restores_without_progress"] for own in each]
    assert stats["restores_without_progress"] == max(stuck) > min(stuck) == 0
    assert stats["max_restores_without_progress"] == 3
    assert stats["snapshots"] == sum(own["snapshots"] for own in each)
    assert sum(stats["state"].values()) == 3
    deaths = [own["levels"].get("1-1", {"deaths": 0})["deaths"] for own in each]
    assert stats["levels"]["1-1"]["deaths"] == sum(deaths)
    assert stats["levels"]["1-1"]["best_x"] > 200


def test_a_vector_with_an_archive_that_does_not_fit():
    archive = SnapshotArchive()
    run(create_snapshot_mario_env(checkpoint_interval=50, archive=archive), 100)
    with pytest.raises(SnapshotMismatch, match="same arguments"):
        gymnasium.make_vec("MarioSnapshot-v0", 2, archive=archive, frame_stack=2)
    for wrong in ({"restore": "never"}, {"checkpoint_interval": 0}, {"max_episode_steps": 0}):
        with pytest.raises(OptionError, match=next(iter(wrong))):
            gymnasium.make_vec("MarioSnapshot-v0", 2, **wrong)


def test_trainers_get_the_vector():
    env = make_vector({"id": "mario_envkit:MarioSnapshot-v0", "checkpoint_interval": 40}, 2)
    assert isinstance(env, MarioSnapshotVectorEnv)
    env.reset(seed=0)
    for _ in range(100):
        env.step(np.array([1, 1]))
    assert env.total_saves
    env.close()


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
        ({"frame_stack": 2}, "frame_stack=4 there and 2 here"),
        ({"screen_size": 64}, "screen_size="),
        ({"reward": "progress"}, "reward="),
        ({"stall_limit": 9}, "same arguments"),
    ],
)
def test_an_archive_of_something_else_is_an_error(tmp_path, kwargs, says):
    env = create_snapshot_mario_env(checkpoint_interval=50, archive=tmp_path)
    run(env, 100)
    env.close()
    with pytest.raises(SnapshotMismatch, match=says):
        create_snapshot_mario_env(archive=tmp_path, **kwargs)


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
