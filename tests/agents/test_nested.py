"""Files that are nested deeper than any parser goes: a sentence, wherever files are read."""

from __future__ import annotations

import msgspec
import pytest

from mario_agents.bench.plan import read_bench
from mario_agents.config import parse_value, read_options
from mario_agents.presets import read_preset
from mario_agents.run.checkpoint import CheckpointStore
from mario_agents.run.directory import CONFIG_NAME, RunDir
from mario_agents.run.records import read_evaluations, read_standard, read_videos
from mario_agents.telemetry.events.address import SERVER_NAME, read_server
from mario_envkit.curriculum.hotspots import DeathHotspotAggregate
from mario_envkit.curriculum.runs import Run
from mario_envkit.errors import (
    CheckpointError,
    ConfigError,
    HotspotError,
    MarioEnvkitError,
    ReplayError,
    RunError,
)

DEEP = "[" * 200_000


@pytest.mark.parametrize("text", [DEEP, DEEP + "]" * 200_000, '{"a":' * 200_000], ids=len)
def test_hotspots_runs_and_options(text, tmp_path):
    for name, read, error in (
        ("deaths.json", DeathHotspotAggregate.load_or_create, HotspotError),
        ("run.json", Run.load, ReplayError),
        ("options.json", read_options, ConfigError),
        ("preset.json", read_preset, MarioEnvkitError),
    ):
        path = tmp_path / name
        path.write_text(text)
        with pytest.raises(error, match=name):
            read(path)


def test_yaml(tmp_path):
    path = tmp_path / "options.yaml"
    path.write_text("[" * 5000)
    with pytest.raises(ConfigError, match="nested too deeply"):
        read_options(path)
    with pytest.raises(ConfigError, match="is no value of an option"):
        parse_value("[" * 5000)


def test_files_of_a_run(tmp_path):
    (tmp_path / CONFIG_NAME).write_text(DEEP)
    with pytest.raises(RunError, match="damaged"):
        RunDir.open(tmp_path)
    (tmp_path / SERVER_NAME).write_text('{"version":' + DEEP)
    with pytest.raises(RunError, match="damaged"):
        read_server(tmp_path)
    (tmp_path / "evaluations.jsonl").write_text('{"other":' + DEEP + "\n")
    assert read_evaluations(tmp_path / "evaluations.jsonl") == ([], 1)
    video = tmp_path / "videos" / "video.json"
    video.parent.mkdir()
    video.write_text('{"other":' + DEEP)
    assert read_videos(video.parent) == ([], [video])
    with pytest.raises(msgspec.DecodeError):
        read_standard(video)
    plan = tmp_path / "plan.json"
    plan.write_text('{"other":' + DEEP)
    with pytest.raises(RunError, match="damaged"):
        read_bench(plan)


def test_a_checkpoint(tmp_path):
    store = CheckpointStore(tmp_path)
    store.save(3, {}, {})
    (manifest,) = tmp_path.glob("*.json")
    manifest.write_text(DEEP)
    with pytest.raises(CheckpointError, match="nested too deeply"):
        store.load_latest()
