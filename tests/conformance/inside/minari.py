"""Minari: episodes as a data set on disk, and behaviour cloning from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium
import minari
import numpy as np
import pytest
import torch
from torch import nn

import mario_envkit  # noqa: F401 - registers the ids

GAME: dict[str, Any] = {"level": "1-1", "screen_size": 42, "reward": "progress"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))


def record(env: Any, name: str, episodes: int = 2) -> tuple[Any, dict[str, Any]]:
    """A data set of episodes to the right, and the last info."""
    collector = minari.DataCollector(env, record_infos=True)
    for episode in range(episodes):
        collector.reset(seed=episode)
        over = False
        while not over:
            *_, terminated, truncated, info = collector.step(1)
            over = terminated or truncated
    collector.create_dataset(
        dataset_id=f"mario/{name}-v0", algorithm_name="right", author="us", author_email="-",
        code_permalink="-",
    )  # fmt: skip
    collector.close()
    return minari.load_dataset(f"mario/{name}-v0"), info


@pytest.mark.parametrize("numeric", [False, True])
@pytest.mark.parametrize("env_id", ["MarioTrain-v0", "MarioSnapshot-v0"])
def test_episodes_are_stored_with_their_infos(env_id: str, numeric: bool) -> None:
    env = gymnasium.make(env_id, numeric_info=numeric, max_episode_steps=30, **GAME)
    stored, info = record(env, "right")
    assert stored.total_episodes == 2
    last = list(stored.iterate_episodes())[-1]
    assert last.observations.shape == (len(last.actions) + 1, 4, 42, 42)
    assert last.observations.dtype == np.uint8
    assert last.infos["x_pos"][-1] == info["x_pos"]
    spec = json.loads(stored.spec.env_spec.to_json())
    assert spec["kwargs"]["numeric_info"] is numeric


def test_the_recorded_game_is_made_again_and_plays_the_same() -> None:
    stored, _ = record(gymnasium.make("MarioTrain-v0", max_episode_steps=30, **GAME), "again")
    env = stored.recover_environment()
    episode = next(iter(stored.iterate_episodes([1])))
    observation, _ = env.reset(seed=1)
    for number, action in enumerate(episode.actions):
        assert np.array_equal(observation, episode.observations[number])
        observation, reward, *_ = env.step(action)
        assert reward == episode.rewards[number]
    env.close()


def test_behaviour_cloning_from_a_data_set() -> None:
    torch.manual_seed(0)
    stored, _ = record(gymnasium.make("MarioTrain-v0", max_episode_steps=30, **GAME), "clone")
    network = nn.Sequential(nn.Flatten(), nn.Linear(4 * 42 * 42, 32), nn.ReLU(), nn.Linear(32, 7))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    losses = []
    for _ in range(10):
        for episode in stored.iterate_episodes():
            pictures = torch.tensor(episode.observations[:-1]) / 255
            actions = torch.tensor(episode.actions, dtype=torch.int64)
            loss = nn.functional.cross_entropy(network(pictures), actions)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 2


def test_the_snippet_of_the_documents(run_snippet: Any) -> None:
    assert run_snippet()["dataset"].total_episodes == 2
