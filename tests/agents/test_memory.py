"""What is known, and said, of the memory that experience takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mario_agents.algos.dqn.config import ApexConfig, DDQNConfig
from mario_agents.algos.dqn.trainer import APEX
from mario_agents.algos.dreamer.config import DreamerConfig
from mario_agents.algos.dreamer.dataset import DreamerReplay
from mario_agents.core.algorithm import Spaces, WorkerContext
from mario_agents.replay import memory
from mario_agents.replay.memory import available_memory, check_memory
from mario_agents.replay.selectors import PrioritizedSelector
from mario_agents.replay.storage import Storage, storage_bytes
from mario_agents.replay.transitions import VALUE_COLUMNS
from mario_envkit.errors import ConfigError


def machine(folder: Path, free_kb: int, cgroup: str, files: dict[str, str]) -> tuple[Path, Path]:
    """What Linux says of itself, as files."""
    (folder / "proc" / "self").mkdir(parents=True)
    (folder / "proc" / "meminfo").write_text(f"MemTotal: 99999999 kB\nMemAvailable: {free_kb} kB\n")
    (folder / "proc" / "self" / "cgroup").write_text(cgroup)
    for name, text in files.items():
        path = folder / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "proc", folder / "groups"


@pytest.mark.parametrize(
    ("cgroup", "files", "expected"),
    [
        ("0::/\n", {}, 1000 * 1024),  # no limit
        ("0::/a/b\n", {"a/memory.max": "max", "a/memory.current": "5"}, 1000 * 1024),
        (
            "0::/a/b\n",
            {
                "a/memory.max": "90000",
                "a/memory.current": "50000",
                "a/memory.stat": "anon 7\ninactive_file 1000\n",
                "a/b/memory.max": "95000",
                "a/b/memory.current": "50000",
                "a/b/memory.stat": "anon 7\n",
            },
            41_000,
        ),
        (
            "3:cpu:/c\n2:memory:/c\n",
            {
                "memory/memory.limit_in_bytes": "700",  # of a container that sees itself as the top
                "memory/memory.usage_in_bytes": "900",
                "memory/memory.stat": "total_inactive_file 50\n",
            },
            0,
        ),
    ],
)
def test_the_tightest_limit_counts(tmp_path, cgroup, files, expected):
    assert available_memory(*machine(tmp_path, 1000, cgroup, files)) == expected


def test_where_nothing_is_known_nothing_is_refused(tmp_path, monkeypatch):
    assert available_memory(tmp_path, tmp_path) is None
    monkeypatch.setattr(memory, "available_memory", lambda: None)
    assert check_memory(10**18) == "Replay buffers grow to 1000000000.00 GB of memory."


def test_what_does_not_fit_is_refused_in_a_sentence(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 2 * 10**9)
    assert check_memory(10**8) == "Replay buffers grow to 100 MB of memory; 2.00 GB are free."
    with pytest.raises(ConfigError, match=r"5\.00 GB of memory, and 2\.00 GB are free.* 2\.5 or"):
        check_memory(5 * 10**9)


@pytest.mark.parametrize("observation", ["tiles", "pixels"])
@pytest.mark.parametrize(("workers", "share"), [(0, None), (3, None), (3, "gradients")])
def test_the_need_is_that_of_the_arrays(observation, workers, share):
    config = ApexConfig(
        observation=observation, workers=workers, share=share, buffer_size=4_000, num_envs=4
    )
    buffers = workers if share == "gradients" else 1
    games = 4 if workers == 0 or buffers > 1 else 12
    storage = Storage(4_000, 4, config.obs_shape, workers=range(games // 4), extras=VALUE_COLUMNS)
    needed = storage_bytes(4_000, games, config.obs_shape, extras=VALUE_COLUMNS)
    assert needed == storage.nbytes - 8 * (3 * games + games // 4)  # but for a few counters
    rng = np.random.default_rng(0)
    trees = PrioritizedSelector(storage, rng, alpha=0.6, beta=lambda at: 0.4).trees
    all_of_them = (needed + trees.nbytes) * buffers
    assert 0.9 * all_of_them < config.replay_bytes() <= 1.1 * all_of_them


@pytest.mark.parametrize("observation", ["tiles", "pixels"])
@pytest.mark.parametrize(("workers", "share"), [(0, None), (2, None), (2, "experience")])
@pytest.mark.parametrize(("stack", "buffer_size"), [(1, 4_000), (1, 1_100), (3, 4_000)])
def test_a_world_model_needs_its_states_as_well(observation, workers, share, stack, buffer_size):
    config = DreamerConfig(
        observation=observation,
        workers=workers,
        share=share,
        frame_stack=stack,
        buffer_size=buffer_size,
        num_envs=4,
    )
    shards = workers if share == "experience" else 1
    context = WorkerContext(
        0, workers or 1, 0, 0, 0, torch.device("cpu"), central=share == "experience"
    )
    replay = DreamerReplay(config, Spaces(config.obs_shape, 7), context, config.batch_size)
    counters = 8 * (3 * 4 * shards + shards)
    buffers = 2 if workers and share is None else 1
    assert config.replay_bytes() == buffers * (replay.storage.nbytes - counters)


@pytest.mark.parametrize("observation", ["tiles", "pixels"])
def test_observations_have_the_shape_of_the_game(observation):
    from mario_agents.acting.environments import make_env

    config = ApexConfig(observation=observation, frame_stack=3, screen_size=(40, 48))
    env = make_env(APEX.env_kwargs(config))
    assert env.observation_space.shape == config.obs_shape
    env.close()


def test_by_default_the_buffer_is_as_large_as_memory_allows(monkeypatch):
    module = "mario_agents.algos.dqn.config.available_memory"
    monkeypatch.setattr(module, lambda: None)
    assert ApexConfig(device="cpu").resolved().buffer_size == 1_000_000
    assert DDQNConfig(device="cpu").resolved().buffer_size == 100_000
    plenty = ApexConfig(observation="pixels", screen_size=84, frame_stack=4, device="cpu")
    monkeypatch.setattr(module, lambda: 20 * 10**9)
    assert plenty.resolved().buffer_size == 1_000_000
    monkeypatch.setattr(module, lambda: 4 * 10**9)
    small = plenty.resolved()
    assert 2.9e9 < small.replay_bytes() < 3.1e9
    monkeypatch.setattr(module, lambda: 1)
    assert plenty.resolved().buffer_size == 5_000  # what learning_starts asks for


def test_training_says_what_it_needs_before_it_begins(cli, tmp_path, monkeypatch):
    words = ("train", "apex", "--total-steps", 64, "--run-dir", "run", "--device", "cpu")
    monkeypatch.setattr(memory, "available_memory", lambda: 10**8)
    refused = cli(*words, "--buffer-size", 10**6)
    assert refused.returncode == 2
    assert "100 MB are free: give a --buffer-size that is smaller" in refused.stderr
    assert not (tmp_path / "run").exists()
    monkeypatch.setattr(memory, "available_memory", lambda: 10**11)
    done = cli(*words, "--learning-starts", 600)
    assert done.returncode == 0, done.stderr
    assert "Replay buffers grow to 344 MB of memory; 100.00 GB are free." in done.stderr
    assert "Replay buffers grow to" in (tmp_path / "run" / "training.log").read_text()
