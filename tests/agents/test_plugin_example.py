"""The example of a third-party trainer: installed by pip, found by its entry point, trained."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.agents.conftest import ROOT


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pip has installed the example."""
    pytest.importorskip("setuptools", minversion="70.1")  # the first that builds wheels alone
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    shutil.copytree(ROOT / "examples" / "plugin", source / "plugin")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
               "--no-build-isolation", "--target", str(target), str(source / "plugin")]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


@pytest.mark.slow
def test_it_installs_trains_with_workers_and_is_evaluated(
    plugin: Path, cli_env: dict[str, str], tmp_path: Path
) -> None:
    env = {**cli_env, "PYTHONPATH": os.pathsep.join([str(plugin), cli_env["PYTHONPATH"]])}

    def run(*words: object) -> str:
        command = [sys.executable, "-m", "mario_agents.cli", *map(str, words)]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "reinforce  mario_reinforce:TRAINER  (mario-reinforce 0.1.0)" in run("trainers")
    words = ["--run-dir", "run", "--num-envs", 2, "--rollout", 16, "--screen-size", 36,
             "--device", "cpu", "--no-snapshots"]  # fmt: skip
    run("train", "reinforce", *words, "--workers", 1, "--total-steps", 64)
    run("train", "--resume", "run", "--workers", 0, "--total-steps", 128)
    config = json.loads((tmp_path / "run" / "config.json").read_text())["config"]
    assert config["synchronous"]  # on-policy: workers must wait for one another
    rows = (tmp_path / "run" / "coordinator.csv").read_text().splitlines()
    names, last = rows[0].split(","), rows[-1].split(",")
    assert dict(zip(names, last, strict=True))["updates"] == "4"
    assert (
        json.loads(run("eval", "run", "--episodes", 1, "--json"))["agent"]["trainer"] == "reinforce"
    )
