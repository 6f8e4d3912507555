"""Runs of the command line that are stopped, or killed, and resumed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_resumes(
    cli: Any, cli_env: dict[str, str], tmp_path: Path, number: signal.Signals, status: int
) -> None:
    process = start_slow_run(cli_env, tmp_path)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == status
    assert "Traceback" not in errors
    assert "mario-agents: stopped. Continue with: mario-agents train --resume run" in errors
    assert "Stopped by a signal." in (tmp_path / "run" / "training.log").read_text()
    check_resumes(cli, tmp_path)


def test_a_killed_run_resumes(cli: Any, cli_env: dict[str, str], tmp_path: Path) -> None:
    process = start_slow_run(cli_env, tmp_path)
    done = cli("train", "--resume", "run")
    assert done.returncode == 2
    assert "already being trained by process" in done.stderr
    process.kill()
    process.communicate(timeout=60)
    check_resumes(cli, tmp_path)


def start_slow_run(cli_env: dict[str, str], folder: Path) -> subprocess.Popen[str]:
    """A run that would take minutes, once it has written checkpoints."""
    words = ["train", "toy", "--run-dir", "run", "--total-steps", "100000", "--sleep", "0.01",
             "--checkpoint-interval", "5"]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "mario_agents.cli", *words],
        cwd=folder, env=cli_env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for _ in range(600):
        if len(list(folder.glob("run/checkpoint/*.json"))) >= 2:
            return process
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    process.kill()
    raise AssertionError("the run wrote no checkpoint")


def check_resumes(cli: Any, folder: Path) -> None:
    csv = folder / "run" / "worker_0.csv"
    reached = int(csv.read_text().splitlines()[-1].split(",")[0])
    done = cli("train", "--resume", "run", "--total-steps", reached + 20)
    assert done.returncode == 0, done.stderr
    steps = [int(line.split(",")[0]) for line in csv.read_text().splitlines()[1:]]
    assert steps == list(range(5, reached + 21, 5))  # none missing, none twice
