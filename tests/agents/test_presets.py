"""Presets: every file is whole, and options come together in the right order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mario_agents.config import make_config
from mario_agents.presets import FOLDER, all_presets, find_preset
from mario_envkit.errors import ConfigError
from mario_envkit.plugins import load_trainer


def test_every_preset_is_one_of_its_trainer() -> None:
    presets = all_presets()
    assert {preset.trainer for preset in presets} >= {"ddqn", "ppo"}
    for preset in presets:
        assert (FOLDER / f"{preset.trainer}-{preset.name}.yaml").exists()
        trainer = load_trainer(preset.trainer)
        config = make_config(trainer.config_class, preset.options, source=preset.name)
        assert config != make_config(trainer.config_class, {}, source="defaults")
        assert preset.description.endswith(".")
        assert preset.measured
    assert len({(preset.trainer, preset.name) for preset in presets}) == len(presets)


def test_a_preset_may_be_named_with_its_trainer() -> None:
    assert find_preset("ppo", "ppo/tiles-cpu") is find_preset("ppo", "tiles-cpu")
    with pytest.raises(ConfigError, match="has no preset 'ppo/tiles-cpu'"):
        find_preset("ddqn", "ppo/tiles-cpu")


def test_unknown_presets() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'pixels-cpu'"):
        find_preset("ddqn", "pixel-cpu")
    with pytest.raises(ConfigError, match="has no presets"):
        find_preset("toy", "pixels-cpu")


def test_the_list(cli: Any) -> None:
    done = cli("presets")
    assert done.returncode == 0, done.stderr
    assert "mario-agents train ddqn --preset pixels-cpu\n" in done.stdout
    assert "Measured: " in done.stdout
    only = cli("presets", "ddqn").stdout
    assert only.count("mario-agents train ddqn") == only.count("mario-agents train") > 0
    missing = cli("presets", "toy")
    assert missing.returncode == 2
    assert "no presets for 'toy'" in missing.stderr


def test_files_and_the_command_line_win_over_the_preset(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mario_agents.presets import Preset

    preset = Preset("toy", "quick", "A toy.", "never", {"lr": 3.0, "seed": 5, "total_steps": 99})
    monkeypatch.setattr("mario_agents.presets.all_presets", lambda: (preset,))
    (tmp_path / "options.yaml").write_text("seed: 6\ntotal_steps: 98\n")
    done = cli(
        "train", "toy", "--preset", "quick", "--config", "options.yaml", "--total-steps", 7,
        "--run-dir", "run",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    config = json.loads((tmp_path / "run" / "config.json").read_text())["config"]
    assert (config["lr"], config["seed"], config["total_steps"]) == (3.0, 6, 7)
    refused = cli("train", "--resume", "run", "--preset", "quick")
    assert refused.returncode == 2
    assert "leave out --preset" in refused.stderr


def test_a_preset_starts_a_run_of_its_trainer(cli: Any, tmp_path: Path) -> None:
    done = cli(
        "train", "ddqn", "--preset", "tiles-cpu", "--total-steps", 64, "--run-dir", "run",
        "--device", "cpu",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    config = json.loads((tmp_path / "run" / "config.json").read_text())["config"]
    assert (config["observation"], config["total_steps"]) == ("tiles", 64)
    done = cli("eval", "run", "--episodes", 1, "--conditions", "greedy-plain", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert "1-1        greedy-plain          0/1" in done.stdout
