"""Runs and benches that were begun with relative paths work from every directory."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mario_agents.bench.plan import BenchPlan, merged
from mario_agents.bench.request import BenchRequest
from mario_agents.commands import train
from mario_agents.commands.stored_run import StoredRun
from mario_agents.config import TrainConfig, absolute_paths, check_resume
from mario_agents.evaluation.standard import Standard, evaluate_levels
from mario_agents.experiments.cell import Cell
from mario_agents.run import RunDir
from mario_envkit.curriculum.hotspot_file import SharedHotspots
from mario_envkit.curriculum.runs import Run
from mario_envkit.emulator.rom import find_rom
from mario_envkit.errors import ConfigError, MarioEnvkitError
from mario_envkit.snapshots.memory import SnapshotMemory
from mario_envkit.snapshots.options import SnapshotOptions

SMALL = (
    "ppo", "--level", "1-1", "--num-envs", "2", "--minibatch-size", "128", "--total-steps", "300",
    "--eval-interval", "0", "--device", "cpu", "--no-ui", "--run-dir", "run",
)  # fmt: skip


@pytest.fixture(scope="module")
def saved_way(tmp_path_factory: pytest.TempPathFactory, way: Run) -> Path:
    path = tmp_path_factory.mktemp("ways") / "way.json"
    way.save(path)
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saved_way: Path) -> Path:
    """The current directory, with a cartridge and a run in it."""
    home, away = tmp_path / "home", tmp_path / "away"
    home.mkdir()
    away.mkdir()
    shutil.copy(find_rom().path, home / "game.nes")
    shutil.copy(saved_way, home / "way.json")
    monkeypatch.chdir(home)
    return home


@pytest.mark.parametrize("source", ["words", "file"])
@pytest.mark.slow
def test_a_run_is_resumed_and_evaluated_from_elsewhere(
    home: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    if source == "words":
        train.main([*SMALL, "--rom", "game.nes", "--backward", "way.json"])
    else:  # relative to the current directory, too, wherever the file is
        options = home.parent / "options.yaml"
        options.write_text("rom: game.nes\nbackward: way.json\n")
        train.main([*SMALL, "--config", str(options)])
    stored = RunDir.open(Path("run")).options
    assert (stored["rom"], stored["backward"]) == (str(home / "game.nes"), str(home / "way.json"))
    monkeypatch.chdir(home.parent / "away")
    train.main(["--resume", "../home/run", "--total-steps", "400"])
    run = StoredRun.open(Path("../home/run"))
    policy = run.trainer.load_policy(run.config, run.directory.path, device="cpu", weights="latest")
    found = evaluate_levels(
        policy, run.trainer.env_kwargs(run.config), Standard(episodes=1), levels=["1-1"],
        conditions=("greedy-plain",),
    )  # fmt: skip
    assert found.plain()["levels"]


@pytest.mark.slow
def test_an_older_run_goes_on_where_it_was_begun(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train.main([*SMALL, "--rom", "game.nes"])
    file = home / "run" / "config.json"
    content = json.loads(file.read_text())
    content["config"]["rom"] = "game.nes"  # as older versions stored it
    file.write_text(json.dumps(content))
    monkeypatch.chdir(home.parent / "away")
    with pytest.raises(MarioEnvkitError, match=r"away/game.nes cannot be read"):
        train.main(["--resume", "../home/run", "--total-steps", "400"])
    monkeypatch.chdir(home)
    StoredRun.open(Path("run"))
    train.main(["--resume", "run", "--total-steps", "400", "--rom", "game.nes"])
    monkeypatch.chdir(home.parent / "away")
    train.main(["--resume", "../home/run", "--total-steps", "500"])


def test_the_same_file_is_the_same_option(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    check_resume(TrainConfig(rom="a.nes"), TrainConfig(rom=str(tmp_path / "a.nes")))
    with pytest.raises(ConfigError, match="rom"):
        check_resume(TrainConfig(rom="a.nes"), TrainConfig(rom="b.nes"))
    assert absolute_paths(TrainConfig()) == TrainConfig()
    assert absolute_paths(SimpleNamespace(rom="a.nes")).rom == "a.nes"  # knows of no paths


def test_every_path_of_a_configuration_exists() -> None:
    assert set(TrainConfig.__dataclass_fields__) >= TrainConfig.PATHS


def test_benches_store_absolute_paths_and_know_older_ones(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preset = home / "mine.yaml"
    preset.write_text(
        "trainer: ppo\nname: mine\ndescription: d\nmeasured: m\noptions: {rom: game.nes}\n"
    )
    request = BenchRequest([str(preset)], seeds=(0,), minutes=1.0, overrides=["backward=way.json"])
    plan = request.plan()
    (cell,) = plan.cells
    assert cell.options["rom"] == str(home / "game.nes")
    assert cell.options["backward"] == str(home / "way.json")
    older = Cell(**{
        **{name: getattr(cell, name) for name in Cell.__struct_fields__},
        "options": {**cell.options, "rom": "game.nes", "backward": "way.json"},
    })  # fmt: skip
    stored = BenchPlan((older,), minutes=plan.minutes)
    assert merged(stored, plan, home).cells == plan.cells


def test_files_of_an_environment_stay_where_they_were_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "away").mkdir()
    monkeypatch.chdir(tmp_path)
    hotspots = SharedHotspots(Path("deaths.json"))
    memory: Any = SnapshotMemory(SnapshotOptions(archive="snapshots"))
    monkeypatch.chdir(tmp_path / "away")
    hotspots.record_death("1-1", 500)
    assert hotspots.flush()
    memory.sync()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".deaths.json.lock", "away", "deaths.json", "snapshots",
    ]  # fmt: skip
    assert [*(tmp_path / "away").iterdir()] == []
