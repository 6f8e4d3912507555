"""The first flag of training is recorded, as it was reached."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import imageio.v2 as imageio
import numpy as np
import pytest

from mario_agents.acting.environments import make_bare, make_vector
from mario_agents.playback import first_success as first_flag
from mario_agents.playback.first_success import (
    FIRST_FLAG_VIDEO,
    ActionTrace,
    FlagWatch,
    as_sticky,
    record_first_flag,
)
from mario_agents.playback.player import FrameTap, go_back, replay_actions
from mario_agents.playback.video_recorder import VideoRecorder
from mario_agents.run.log_levels import NOTICE
from mario_agents.run.records import read_videos
from mario_agents.runtime.first_flag import FirstFlagRecorder
from mario_envkit.curriculum.runs import Run

KWARGS = {
    "level": "1-1", "actions": "raw", "frame_skip": 1, "timing": "console", "screen_size": 36,
    "frame_stack": 1,
}  # fmt: skip
ENVS = 3


@pytest.fixture(scope="module")
def actions(way: Run) -> bytes:
    """Joypad bytes of a way to the flag."""
    return way.actions


@pytest.fixture(scope="module")
def trace(actions: bytes) -> ActionTrace:
    """Of a game that reached the flag."""
    traces: list[ActionTrace] = []
    with closing(FlagWatch(make_vector(KWARGS, ENVS), traces.append)) as envs:
        reach_flag(envs, actions)
    return traces[0]


def reach_flag(envs: Any, actions: bytes) -> None:
    """The second of the games walks to the flag; the others run and die."""
    envs.reset(seed=0)
    for byte in actions:
        _, _, terminated, _, _ = envs.step(np.array([0x80, byte, 0x81]))
    assert terminated[1]


@pytest.mark.slow
def test_the_video_shows_how_the_flag_was_reached(tmp_path: Path, actions: bytes, caplog) -> None:
    caplog.set_level(NOTICE, "mario_agents")
    recorder = FirstFlagRecorder(make_vector(KWARGS, ENVS), KWARGS, tmp_path)
    with closing(recorder.envs) as envs:
        recorder.tick(10)
        reach_flag(envs, actions)
        recorder.tick(4_000)
        recorder.close()
        ((video, record),) = read_videos(tmp_path)[0]
        assert video == tmp_path / FIRST_FLAG_VIDEO
        assert record.step == 4_000
        assert record.occasions == ("first flag, in training",)
        assert record.episode.success
        assert record.episode.steps == len(actions)
        assert record.path[0].points[0][0] < 50
        assert record.path[-1].points[-1][0] > 3_000
        assert f"First flag, in training, at step 4000: see {video}" in caplog.text
        frames = imageio.get_reader(video).count_frames()
        assert abs(frames - len(actions) / 2) <= 2


@pytest.mark.slow
def test_a_long_way_is_recorded_from_somewhere(tmp_path: Path, actions: bytes, monkeypatch) -> None:
    monkeypatch.setattr(first_flag, "LONGEST", 500)
    traces: list[ActionTrace] = []
    with closing(FlagWatch(make_vector(KWARGS, ENVS), traces.append)) as envs:
        reach_flag(envs, actions)
    (trace,) = traces
    assert len(trace.actions) == len(actions) % 500
    assert record_first_flag(trace, KWARGS, tmp_path, 1) is not None
    ((_, record),) = read_videos(tmp_path)[0]
    assert record.episode.success
    assert record.occasions == ("first flag, in training from somewhere on the way",)


@pytest.mark.parametrize("snapshots", [False, True])
@pytest.mark.parametrize("each", [False, True])
def test_games_with_chance_and_snapshots_are_played_again_exactly(
    snapshots: bool, each: bool
) -> None:
    kwargs = {
        "level": "1-1", "actions": "simple", "repeat_action_probability": 0.25, "noop_max": 30,
        "screen_size": 36, "reward": "progress",
    }  # fmt: skip
    more: dict[str, Any] = {"id": "mario_envkit:MarioSnapshot-v0"} if snapshots else {}
    if each:
        kwargs["repeat_frame_probability"] = 0.25
        more["repeat_action_probability"] = [0.0, *[0.5] * (ENVS - 1)]
    rng = np.random.default_rng(0)
    x: list[list[int]] = [[] for _ in range(ENVS)]
    origins = set()
    with closing(FlagWatch(make_vector(kwargs | more, ENVS), lambda trace: None)) as envs:
        envs.reset(seed=3)
        for _ in range(700):
            _, _, terminated, truncated, infos = envs.step(rng.choice([1, 2, 3, 4, 4], ENVS))
            ended = terminated | truncated | infos["snapshot_restored"]
            for env in range(ENVS):
                x[env] = [] if ended[env] else [*x[env], int(infos["x_pos"][env])]
                origins.add(envs.trace(env).origin[:10])
        traces = [envs.trace(env) for env in range(ENVS)]
    assert origins == ({"", "a snapshot"} if snapshots else {""})
    assert sum(map(len, x)) > 40
    for trace, seen in zip(traces, x, strict=True):
        assert len(trace.actions) == len(seen)
        if seen:
            assert xs_of(trace, {**kwargs, **trace.own}) == seen


def test_games_that_become_more_sticky_are_played_again_exactly() -> None:
    """With frames that are sticky too, whose luck comes from the same random numbers."""
    kwargs = {
        "level": "1-1", "actions": "simple", "repeat_action_probability": 0.5, "noop_max": 30,
        "screen_size": 36, "reward": "progress", "repeat_frame_probability": 0.25,
    }  # fmt: skip
    rng = np.random.default_rng(0)
    x: list[list[int]] = [[] for _ in range(ENVS)]
    with closing(FlagWatch(make_vector(kwargs, ENVS), lambda trace: None)) as envs:
        envs.reset(seed=3)
        for step in range(90):
            envs.env.set_repeat_action_probability(step // 10 * 0.1)
            _, _, terminated, truncated, infos = envs.step(rng.choice([1, 2, 3, 4, 4], ENVS))
            for env in range(ENVS):
                over = terminated[env] or truncated[env]
                x[env] = [] if over else [*x[env], int(infos["x_pos"][env])]
        traces = [envs.trace(env) for env in range(ENVS)]
    assert max(len(trace.chances) for trace in traces) > 3
    for trace, seen in zip(traces, x, strict=True):
        if seen:
            assert xs_of(trace, kwargs) == seen


def xs_of(trace: ActionTrace, kwargs: dict[str, Any]) -> list[int]:
    """Where Mario is after each step, when a trace is played again."""
    visited: list[int] = []
    with closing(make_bare(kwargs, render_mode="rgb_array")) as env:
        go_back(env, trace.saved)
        tap = FrameTap(env, lambda picture: None)
        replay_actions(
            env,
            as_sticky(env, trace),
            tap=tap,
            visit=lambda info: visited.append(int(info["x_pos"])),
        )
    return visited


@pytest.mark.slow
def test_one_video_is_enough_for_all_workers(tmp_path: Path, trace: ActionTrace, caplog) -> None:
    wrong = ActionTrace(trace.saved, trace.actions[:-100], trace.origin)
    assert record_first_flag(wrong, KWARGS, tmp_path, 1) is None
    assert "There is no video of the first flag: the game went another way" in caplog.text
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]
    running = FirstFlagRecorder(make_vector(KWARGS, 2), KWARGS, tmp_path)
    running.envs.reset(seed=0)
    running.look()
    assert running.envs.trace(0).actions == ()
    assert record_first_flag(trace, KWARGS, tmp_path, 7) is not None
    assert record_first_flag(trace, KWARGS, tmp_path, 8) is None
    ((_, record),) = read_videos(tmp_path)[0]
    assert record.step == 7
    # A worker that has not got there hears of it; one that starts later never watches.
    running.look()
    late = FirstFlagRecorder(make_vector(KWARGS, 2), KWARGS, tmp_path)
    late.envs.reset(seed=0)
    for recorder in (running, late):
        recorder.envs.step(np.array([0, 0]))
        with pytest.raises(IndexError):
            recorder.envs.trace(0)
        recorder.envs.close()


def test_the_first_flag_of_an_evaluation_comes_after_that_of_training(tmp_path: Path) -> None:
    from tests.agents.test_video_recorder import measured
    from tests.agents.walking import GAME, Walk

    evaluation = measured(Walk())
    recorder = VideoRecorder(tmp_path, GAME)
    video = video_of_flag(tmp_path)
    assert video.is_file()
    assert recorder.offer([evaluation], (1.0,), (1.0,), Walk(), 30) is None


def video_of_flag(directory: Path) -> Path:
    """A video of training that shows the flag, as far as anybody looks."""
    from mario_agents.run.records import PlayedEpisode, VideoRecord, write_video_record

    video = directory / FIRST_FLAG_VIDEO
    video.write_bytes(b"video")
    episode = PlayedEpisode("1-1", True, 1.0, 3161, 9, "flag")
    write_video_record(video, VideoRecord(1, ("first flag, in training",), (), episode, ()))
    return video
