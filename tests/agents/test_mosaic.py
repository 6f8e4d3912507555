"""Many games of one agent in one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imageio.v2 as imageio
import numpy as np
import pytest

from mario_agents.acting.environments import make_env
from mario_agents.playback.mosaic import play_mosaic
from mario_agents.playback.player import FrameTap
from mario_agents.playback.policy_player import play_episode
from tests.agents.walking import GAME, Walk


def frames_of(start: int) -> list[np.ndarray]:
    """What one game of the mosaic shows, played alone."""
    env = make_env(GAME, render_mode="rgb_array")
    frames: list[np.ndarray] = []
    tap = FrameTap(env, lambda picture: frames.append(picture.copy()))
    play_episode(Walk(start), env, greedy=True, seed=0, tap=tap)
    env.close()
    return frames


def test_every_game_of_a_mosaic_is_the_one_it_is_alone() -> None:
    envs = [make_env(GAME, render_mode="rgb_array") for _ in range(5)]
    shown: list[np.ndarray] = []
    episodes = play_mosaic(
        Walk(), envs, 3, lambda picture: shown.append(picture.copy()), greedy=True, seed=0
    )
    assert [episode.steps for episode in episodes] == [5, 6, 7, 8, 9]
    assert all(episode.success for episode in episodes)
    assert shown[0].shape == (72, 108, 3)
    assert len(shown) == 10
    for game in range(5):
        y, x = divmod(game, 3)
        tile = [picture[36 * y : 36 * y + 36, 36 * x : 36 * x + 36] for picture in shown]
        alone = frames_of(game)
        np.testing.assert_array_equal(tile[: len(alone)], alone)
        for picture in tile[len(alone) :]:  # over: still there, darker
            assert 0 < picture.sum() < alone[-1].sum()
    assert not any(picture[36:, 72:].any() for picture in shown)  # no sixth game


def test_record_makes_a_mosaic(cli: Any, toy_run: Path) -> None:
    done = cli("record", toy_run, "--grid", "4x2", "--out", "mosaic.mp4")
    assert done.returncode == 0, done.stderr
    assert "8 of 8 games reached the flag." in done.stdout
    pictures = [*imageio.get_reader("mosaic.mp4").iter_data()]
    assert len(pictures) == 13
    assert pictures[0].shape == (64, 192, 3)
    for words, said in (
        (("--grid", "4"), "columns x rows"),
        (("--grid", "9x9"), "at most 64 games"),
        (("--grid", "2x2", "--episodes", 3), "leave out --episodes"),
    ):
        done = cli("record", toy_run, *words)
        assert done.returncode == 2
        assert said in done.stderr


@pytest.fixture
def toy_run(cli: Any, tmp_path: Path) -> Path:
    done = cli("train", "toy", "--total-steps", 5, "--run-dir", "run", "--no-ui")
    assert done.returncode == 0, done.stderr
    return tmp_path / "run"
