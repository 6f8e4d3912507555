"""Where a run is in its curriculum: it goes on from there after a resume, whoever plays."""

from __future__ import annotations

import dataclasses
import json
import logging
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch

from mario_agents.algos.ppo.algorithm import PPOAlgorithm
from mario_agents.algos.ppo.config import PPOConfig
from mario_agents.run import CheckpointStore, RunDir
from mario_agents.runtime.build import open_hub
from mario_agents.runtime.curriculum_file import CurriculumFile
from mario_agents.runtime.processes.supervisor import process_topology
from mario_agents.runtime.run import train
from mario_agents.runtime.worker_envs import WorkerEnvs
from mario_envkit.curriculum.runs import Run
from mario_envkit.errors import CheckpointError
from tests.waiting import until

PPO = PPOConfig(
    observation="tiles", level="sequential:1-1..1-4", num_envs=1, rollout_steps=16, epochs=1,
    minibatch_size=16, total_steps=16, eval_interval=0, snapshots=False, device="cpu", ui=False,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _threads() -> Any:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def position(run: RunDir, workers: int) -> int:
    """Number of the level that comes next."""
    if workers:
        stored = CurriculumFile(run, 0, interval=0, step=0).read()
        assert stored is not None
        return int(stored[1]["levels"][0]["position"])
    state = CheckpointStore(run.checkpoint_path).load_latest().state
    return int(state["worker"]["games"]["levels"][0]["position"])


@pytest.mark.parametrize(
    "workers",
    [
        (0, 0, 0),
        pytest.param(
            (0, 1, 1, 0),
            marks=[
                pytest.mark.slow,
                pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX shared memory"),
            ],
        ),
    ],
)
def test_levels_go_on_where_they_were(tmp_path: Path, workers: tuple[int, ...]) -> None:
    """16 steps end no episode: each part of the run begins one level."""
    run = RunDir.create(tmp_path / "run", trainer="ppo", config=PPO)
    for part, count in enumerate(workers, start=1):
        config = dataclasses.replace(PPO, total_steps=16 * part, workers=count)
        train(PPOAlgorithm(), config, run, resume=part > 1)
        assert position(run, count) == part % 4


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX shared memory")
def test_a_worker_killed_soon_after_it_took_over_has_written_where_it_began(
    tmp_path: Path,
) -> None:
    run = RunDir.create(tmp_path / "run", trainer="ppo", config=PPO)
    train(PPOAlgorithm(), PPO, run, resume=False)
    checkpoint = CheckpointStore(run.checkpoint_path).load_latest()
    config = dataclasses.replace(PPO, workers=1, total_steps=1_000_000)
    with (
        open_hub(PPOAlgorithm(), config, run, checkpoint) as hub,
        process_topology(PPOAlgorithm(), config, run, hub, checkpoint) as topology,
    ):
        topology.begin()
        until(lambda: topology.heartbeat.row(0).taken, topology.advance)
    assert position(run, workers=1) == 1


def test_a_backward_curriculum_goes_on_where_it_was(tmp_path: Path, way: Run) -> None:
    way.save(tmp_path / "1-1.json")
    config = dataclasses.replace(
        PPO, level="1-1", backward=str(tmp_path / "1-1.json"), snapshots=True, num_envs=2
    )
    run = RunDir.create(tmp_path / "run", trainer="ppo", config=config)
    with closing(WorkerEnvs(PPOAlgorithm(), config, run)) as games:
        games.envs.reset(seed=0)
        state = games.state()
        assert state["backward"]["position"] > 50
    state["backward"] |= {"position": 40, "outcomes": [1, 0, 1]}
    state = json.loads(json.dumps(state))
    with closing(WorkerEnvs(PPOAlgorithm(), config, run)) as games:
        games.restore(state)
        games.envs.reset(seed=1)
        assert games.state() == state
        games.envs.reset()
        usage = games.snapshot_usage()
    assert usage.backward == pytest.approx(1 - 40 / (state["backward"]["starts"] - 1))


def test_positions_along_several_runs_go_on_where_they_were(tmp_path: Path, way: Run) -> None:
    files = [tmp_path / "one.json", tmp_path / "two.json"]
    for file in files:
        way.save(file)
    config = dataclasses.replace(
        PPO, level="1-1", backward=tuple(map(str, files)), snapshots=True, num_envs=2
    )
    run = RunDir.create(tmp_path / "run", trainer="ppo", config=config)
    train(PPOAlgorithm(), config, run, resume=False)
    store = CheckpointStore(run.checkpoint_path)
    state = store.load_latest().state["worker"]["games"]
    assert len(state["backward"]["runs"]) == 2
    for position, known in zip((40, 7), state["backward"]["runs"], strict=True):
        known |= {"position": position, "outcomes": [1]}
    with closing(WorkerEnvs(PPOAlgorithm(), config, run)) as games:
        games.restore(json.loads(json.dumps(state)))
        games.envs.reset(seed=1)
        assert games.state() == state
        last = known["starts"] - 1
        assert games.snapshot_usage().backward == pytest.approx(1 - 47 / (2 * last))
    train(PPOAlgorithm(), dataclasses.replace(config, total_steps=32), run, resume=True)
    assert len(store.load_latest().state["worker"]["games"]["backward"]["runs"]) == 2


@pytest.mark.parametrize("change", [{"levels": []}, {"levels": ["1-1"]}, {"position": 9}])
def test_a_position_of_other_games_is_refused_in_a_sentence(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    run = RunDir.create(tmp_path / "run", trainer="ppo", config=PPO)
    with closing(WorkerEnvs(PPOAlgorithm(), PPO, run)) as games:
        state = games.state()
        games.restore(state)
        if change == {"levels": []}:
            state |= change
        else:
            state["levels"][0] |= change
        with pytest.raises(CheckpointError, match="does not fit the games of this run"):
            games.restore(state)


def test_a_damaged_file_begins_the_curriculum_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = RunDir.create(tmp_path / "run", trainer="ppo", config=PPO)
    file = CurriculumFile(run, 0, interval=100, step=0)
    with closing(WorkerEnvs(PPOAlgorithm(), PPO, run)) as games:
        file.tick(games, 99)
        assert file.read() is None
        file.tick(games, 101)
        assert file.read() == (101, games.state())
        file.end(games, 130)
        assert file.read() == (130, games.state())
    assert [path.name for path in (tmp_path / "run" / "curriculum").iterdir()] == ["worker_0.json"]
    caplog.set_level(logging.WARNING, "mario_agents")
    for damaged in ("", "[]", '{"step": 1}', "{"):
        run.curriculum_path(0).write_text(damaged)
        assert file.read() is None
    assert caplog.text.count("the curriculum begins anew") == 4
