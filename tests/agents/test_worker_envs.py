"""The games of a worker."""

from __future__ import annotations

import dataclasses
import logging
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from mario_agents.acting.environments import followed_runs, learned_from, starts_of
from mario_agents.algos.dqn.algorithm import DDQNAlgorithm
from mario_agents.algos.dqn.config import DDQNConfig
from mario_agents.algos.ppo.algorithm import PPOAlgorithm
from mario_agents.algos.ppo.config import PPOConfig
from mario_agents.run import RunDir
from mario_agents.runtime.cores import torch_threads
from mario_agents.runtime.worker_envs import SnapshotUsage, WorkerEnvs
from mario_envkit.curriculum.backward import BackwardStarts
from mario_envkit.curriculum.runs import Run, run_path
from mario_envkit.errors import ConfigError, ReplayError
from mario_envkit.game.levels import Level


@pytest.mark.parametrize(("num_envs", "most"), [(1, 3), (3, 3), (3, 1), (3, 0)])
def test_practice_is_what_the_games_did(tmp_path: Path, num_envs: int, most: int) -> None:
    """Running into the first enemy again and again: a place to practise, if deaths may be
    followed by restores at all."""
    config = DDQNConfig(num_envs=num_envs, actions="right_only", max_restores=most)
    run = RunDir.create(tmp_path / "run", trainer="ddqn", config=config)
    with closing(WorkerEnvs(DDQNAlgorithm(), config, run)) as games:
        assert games.snapshot_usage() == SnapshotUsage(0, 0, 0, most)
        games.envs.reset(seed=0)
        restored = stuck = ended = 0
        for _ in range(800):
            _, _, terminated, _, infos = games.envs.step(np.full(num_envs, 1))
            ended += int(np.sum(terminated))
            restored += int(np.sum(infos.get("snapshot_restored", False)))
            stuck = max(stuck, games.snapshot_usage().stuck)
        usage = games.snapshot_usage()
    assert usage.saves > 0
    assert usage.restores == restored
    assert (restored > 0) == (most > 0)
    assert ended > 0
    assert usage.max_stuck == stuck == most


@pytest.mark.parametrize(("level", "shared"), [("worst:1-1..1-4", True), ("sequential", False)])
def test_games_share_a_schedule_that_learns(tmp_path: Path, level: str, shared: bool) -> None:
    config = DDQNConfig(num_envs=3, level=level, snapshots=False)
    run = RunDir.create(tmp_path / "run", trainer="ddqn", config=config)
    with closing(WorkerEnvs(DDQNAlgorithm(), config, run)) as games:
        games.envs.reset(seed=0)
        for _ in range(400):
            games.envs.step(np.full(3, 3))
        state = games.state()
    assert len(state["levels"]) == (1 if shared else 3)
    if shared:
        assert sum(attempts for attempts, _ in state["levels"][0]["tried"]) > 5
    # A run of a version that did not share them.
    older = {**state, "levels": state["levels"] * 3} if shared else state
    with closing(WorkerEnvs(DDQNAlgorithm(), config, run)) as games:
        games.restore(older)
        assert games.state() == state


def test_without_snapshots_there_is_none(tmp_path: Path) -> None:
    config = DDQNConfig(num_envs=1, snapshots=False)
    run = RunDir.create(tmp_path / "run", trainer="ddqn", config=config)
    with closing(WorkerEnvs(DDQNAlgorithm(), config, run)) as games:
        assert games.snapshot_usage() == SnapshotUsage()


def test_episodes_can_begin_at_snapshots(tmp_path: Path) -> None:
    config = DDQNConfig(num_envs=3, actions="right_only", start_states=0.9)
    run = RunDir.create(tmp_path / "run", trainer="ddqn", config=config)
    begun, rng = set(), np.random.default_rng(0)
    with closing(WorkerEnvs(DDQNAlgorithm(), config, run)) as games:
        games.envs.reset(seed=0)
        for _ in range(1500):
            infos = games.envs.step(rng.integers(1, 5, 3))[-1]
            begun.update(infos["start"].tolist())
    assert begun == {"true", "archive"}


def test_episodes_can_follow_a_run_from_its_end(tmp_path: Path, way: Run) -> None:
    """All games along the same one, of which they share the progress."""
    way.save(tmp_path / "1-1.json")
    config = DDQNConfig(num_envs=2, backward=str(tmp_path / "1-1.json"))
    run = RunDir.create(tmp_path / "run", trainer="ddqn", config=config)
    with closing(WorkerEnvs(DDQNAlgorithm(), config, run)) as games:
        games.envs.reset(seed=0)  # the first one is true
        _, infos = games.envs.reset()
        assert (infos["x_pos"] > 2500).all()
        assert infos["start"].tolist() == ["run", "run"]
        assert games.snapshot_usage().backward == 0


def test_the_log_says_when_a_backward_curriculum_has_arrived(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, way: Run
) -> None:
    monkeypatch.setattr("mario_agents.runtime.worker_envs.SYNC_SECONDS", 0.0)
    caplog.set_level(logging.INFO, "mario_agents")
    starts = BackwardStarts(way)
    monkeypatch.setattr("mario_agents.runtime.worker_envs.starts_of", lambda config: starts)
    config = DDQNConfig(num_envs=2, level="1-1", backward="1-1.json")
    run = RunDir.create(tmp_path / "run", trainer="ddqn", config=config)
    with closing(WorkerEnvs(DDQNAlgorithm(), config, run)) as games:
        games.tick(100)
        starts.restore({**starts.state(), "position": 0})
        games.tick(200)
        games.tick(300)
        assert games.snapshot_usage().backward == 1
    said = [record.message for record in caplog.records if "backward" in record.message]
    assert said == ["The backward curriculum has arrived at the true start, by step 200."]


def test_a_folder_of_runs_has_the_one_of_the_level(tmp_path: Path, way: Run) -> None:
    path = run_path(tmp_path, Level(1, 1))
    way.save(path)
    config = DDQNConfig(level="1-1", backward=str(tmp_path))
    assert starts_of(config).run == way
    with pytest.raises(ReplayError, match=r"smb-1-2-console\.json"):
        starts_of(dataclasses.replace(config, level="1-2"))
    with pytest.raises(ConfigError, match="is a folder, and level = 'full' does not say"):
        starts_of(dataclasses.replace(config, level="full"))
    assert starts_of(dataclasses.replace(config, level="random")).run == way
    way.save(run_path(tmp_path, Level(1, 1), number=2))
    several = starts_of(dataclasses.replace(config, level="weighted:1-1..1-4"))
    assert [each.run for each in several.ways] == [way, way]


def test_games_pay_along_the_runs_that_they_follow(tmp_path: Path, way: Run) -> None:
    way.save(tmp_path / "run.json")
    config = PPOConfig(
        num_envs=4, level="1-1", observation="tiles", along=str(tmp_path / "run.json"),
        true_starts=0.5, schedule={"reward_weights.path": "1:0.5"}, total_steps=1000,
        reward_weights={"progress": 0, "path": 1},
    )  # fmt: skip
    run = RunDir.create(tmp_path / "run", trainer="ppo", config=config)
    paid, begun = 0.0, set()
    with closing(WorkerEnvs(PPOAlgorithm(), config, run)) as games:
        games.envs.reset(seed=0)
        games.follow_schedules(500)
        for _ in range(120):
            *_, infos = games.envs.step(np.full(4, 3))
            parts = infos["reward_parts"]
            assert not parts["progress"].any()
            paid += parts["path"].sum()
            begun |= set(infos["start"])
        assert games.snapshot_usage().backward is None
        games.restore(games.state())
    assert paid > 500 * 0.75
    assert begun == {"true", "run"}


def test_what_pays_for_a_path_needs_one(tmp_path: Path, way: Run) -> None:
    config = PPOConfig(observation="tiles", reward_weights={"path": 1})
    with pytest.raises(ConfigError, match="there is none: give runs with along or backward"):
        followed_runs(config)
    with pytest.raises(ConfigError, match="backward and along both say where"):
        PPOConfig(backward="a.json", along="b.json")
    with pytest.raises(ConfigError, match="along need snapshots"):
        PPOConfig(along="b.json", snapshots=False)
    assert learned_from(PPOConfig(), {"level": "1-1"}) == {"level": "1-1"}


def test_a_full_archive_is_for_the_log(tmp_path: Path, caplog, recwarn) -> None:
    """Games write their snapshots when they are closed, too: nobody wants that on a terminal."""
    config = DDQNConfig(num_envs=2, actions="right_only", screen_size=36)
    run = RunDir.create(tmp_path / "run", trainer="ddqn", config=config)
    caplog.set_level(logging.INFO, "mario_agents")
    run.snapshots_path.mkdir()
    (run.snapshots_path / "damaged.snapshot").write_bytes(b"no snapshot")
    with closing(WorkerEnvs(DDQNAlgorithm(), config, run)) as games:
        games.envs.reset(seed=0)
    assert "was passed over" in caplog.text
    assert not recwarn.list


@pytest.mark.parametrize("snapshots", [True, False])
def test_workers_share_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, snapshots: bool
) -> None:
    monkeypatch.setattr("mario_agents.runtime.cores._AVAILABLE", 8)
    for workers, threads in ((3, 2), (16, 1)):
        config = DDQNConfig(num_envs=4, workers=workers, snapshots=snapshots)
        run = RunDir.create(tmp_path / f"{workers}", trainer="ddqn", config=config)
        with closing(WorkerEnvs(DDQNAlgorithm(), config, run)) as games:
            assert games.envs.unwrapped.num_threads == threads


@pytest.mark.parametrize(
    ("workers", "wanted", "threads"),
    [
        (0, 12, 12),  # as it was told
        (1, 12, 12),  # and its like
        (2, 12, 4),
        (2, 3, 3),
        (16, 12, 1),
    ],
)
def test_workers_have_no_more_threads_than_cores(
    monkeypatch: pytest.MonkeyPatch, workers: int, wanted: int, threads: int
) -> None:
    monkeypatch.setattr("mario_agents.runtime.cores._AVAILABLE", 8)
    assert torch_threads(DDQNConfig(workers=workers, torch_threads=wanted)) == threads
