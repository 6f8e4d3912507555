"""Runs of the command line that are stopped, or killed, and resumed."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import PATIENCE, pause, until


@pytest.fixture
def slow_run(cli_env: dict[str, str], tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A run without an end that has written checkpoints."""
    words = ["train", "toy", "--run-dir", "run", "--total-steps", "1000000000", "--sleep", "0.01",
             "--checkpoint-interval", "5"]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "mario_agents.cli", *words],
        cwd=tmp_path, env=cli_env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip

    def look() -> None:
        assert process.poll() is None, process.communicate()
        pause()

    try:
        until(lambda: len(list(tmp_path.glob("run/checkpoint/*.json"))) >= 2, look)
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.slow
def test_a_stopped_run_resumes(
    cli: Any, slow_run: Any, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    slow_run.send_signal(number)
    _, errors = slow_run.communicate(timeout=PATIENCE)
    assert slow_run.returncode == status
    assert "Traceback" not in errors
    assert "mario-agents: stopped. Continue with: mario-agents train --resume run" in errors
    assert "Stopped by a signal." in (tmp_path / "run" / "training.log").read_text()
    check_resumes(cli, tmp_path)


@pytest.mark.slow
def test_a_killed_run_resumes(cli: Any, slow_run: Any, tmp_path: Path) -> None:
    done = cli("train", "--resume", "run")
    assert done.returncode == 2
    assert "already being trained by process" in done.stderr
    slow_run.kill()
    slow_run.communicate()
    check_resumes(cli, tmp_path)


def check_resumes(cli: Any, folder: Path) -> None:
    csv = folder / "run" / "worker_0.csv"
    reached = int(csv.read_text().splitlines()[-1].split(",")[0])
    done = cli("train", "--resume", "run", "--total-steps", reached + 20)
    assert done.returncode == 0, done.stderr
    steps = [int(line.split(",")[0]) for line in csv.read_text().splitlines()[1:]]
    assert steps == list(range(5, reached + 21, 5))  # none missing, none twice
