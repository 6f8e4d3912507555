"""Streams that are not UTF-8, pipes without a reader, full devices: every command."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mario_envkit.command_line import shell_words
from tests.streams import ENCODINGS, HARD, refusals, run_all, run_refused

HELP = [
    ["--help"], ["train", "--help"], ["train", "toy", "--help"], ["train", "ppo", "--help"],
    ["bench", "--help"], ["bench", "learn", "--help"], ["presets"], ["trainers"],
    *([name, "--help"] for name in ("eval", "watch", "record", "report", "plot", "monitor")),
    ["leaderboard", "--help"],
]  # fmt: skip
LIFE = [
    ["train", "toy", "--run-dir", "RUN", "--total-steps", "30", "--checkpoint-interval", "10"],
    ["train", "--resume", "RUN", "--total-steps", "40"],
    ["eval", "RUN", "--episodes", "1", "--out", "RUN.json"],
    ["leaderboard", "RUN.json", "--out", "RUN.html"],
    ["monitor", "RUN"],
    ["report", "RUN"],
    ["plot", "RUN", "--metric", "weight", "--out", "RUN.png"],
    ["record", "RUN", "--out", "RUN.mp4"],
]
REFUSED = [
    ["watch", "RUN"],  # with a hint
    ["train", "toy", "--run-dir", "RUN"],
    ["eval", "RUN-none"],
    ["train", "toy", "--config", "RUN.yaml"],
    ["record", "RUN", "--out", "RUN/none"],
    ["bench", "learn", "--out", "RUN", "--show"],
]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.slow
def test_help_in_every_encoding(encoding: str, cli_env: dict[str, str], tmp_path: Path) -> None:
    env = {**cli_env, **ENCODINGS[encoding]}
    statuses, output, errors = run_all("mario_agents.cli", HELP, env=env, folder=tmp_path)
    assert statuses == [0] * len(HELP), errors.decode("latin1")
    assert b"--episodes" in output


@pytest.mark.parametrize(("encoding", "name"), HARD)
@pytest.mark.slow
def test_a_run_in_every_encoding(
    encoding: str, name: bytes, cli_env: dict[str, str], tmp_path: Path
) -> None:
    env = {**cli_env, **ENCODINGS[encoding]}
    commands = [*LIFE, *REFUSED]
    statuses, output, errors = run_all(
        "mario_agents.cli", commands, env=env, folder=tmp_path, run=name
    )
    shown = errors.decode("latin1")
    assert statuses == [0] * len(LIFE) + [2] * len(REFUSED), shown
    assert "Traceback" not in shown
    assert "Logging error" not in shown
    assert b"Run directory: " in output
    run = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    assert (run / "report.html").stat().st_size > 1000
    assert "Finished." in (run / "training.log").read_text(encoding="utf-8")


@pytest.mark.slow
def test_output_without_a_reader_or_on_a_full_device(
    cli: Any, cli_env: dict[str, str], tmp_path: Path
) -> None:
    """With small outputs, that are written at the end, and large ones."""
    assert cli("train", "toy", "--run-dir", "run", "--total-steps", 3).returncode == 0
    commands = [
        ["--help"], ["train", "toy", "--help"], ["trainers"], ["presets"], ["monitor", "run"],
        ["eval", "run", "--episodes", "40", "--json"], ["record", "run", "--out", "a.mp4"],
    ]  # fmt: skip
    said = run_refused("mario_agents.cli", commands, env=cli_env, folder=tmp_path)
    assert said == refusals("mario-agents", len(commands))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.slow
def test_training_goes_on_without_a_standard_error_stream(
    cli_env: dict[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "mario_agents.cli", "train", "toy", "--run-dir", "run"]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*command, "--total-steps", "20"], cwd=tmp_path, env=cli_env, stdout=subprocess.PIPE,
            stderr=full, check=False,
        )  # fmt: skip
    assert done.returncode == 0
    assert (tmp_path / "run" / "weights.safetensors").exists()


def test_hints_can_be_pasted(tmp_path: Path) -> None:
    """Into bash, whatever the name of the run is."""
    for name in (b"my run", b"it's", "Müller".encode(), b"run-\xff $(id)'"):
        words = shell_words("printf", "%s", os.fsdecode(name))
        line = os.fsencode(words)
        assert subprocess.run(["bash", "-c", line], capture_output=True).stdout == name
    assert shell_words("eval", Path("runs/a")) == "eval runs/a"


def test_hints_of_commands_quote_the_run(cli: Any) -> None:
    run = "my run"
    done = cli("train", "toy", "--run-dir", run, "--total-steps", 3)
    assert f"mario-agents eval {shlex.quote(run)}" in done.stdout
    refused = cli("train", "toy", "--run-dir", run)
    assert f"--resume {shlex.quote(run)}" in refused.stderr
    refused = cli("watch", run)
    assert f"mario-agents record {shlex.quote(run)}" in refused.stderr
