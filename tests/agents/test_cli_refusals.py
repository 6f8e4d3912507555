"""What the command line refuses: one sentence, exit status 2, and nothing lost on the disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.agents.command_runs import assert_refused, digest


def test_unknown_trainer(cli: Any) -> None:
    assert_refused(cli("train", "tpy"), "no trainer named 'tpy'", "Did you mean 'toy'?")


def test_trainer_that_cannot_be_imported(cli: Any) -> None:
    assert_refused(cli("train", "broken"), "toy_trainer_that_is_not_there")


def test_no_trainer_named(cli: Any) -> None:
    assert_refused(cli("train", "--level", "1-1"), "Name a trainer first", "toy")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--level", "9-9"], "no level '9-9'"),
        (["--num-envs", "0"], "num_envs = 0 is not valid: expected int >= 1"),
        (["--lr-min", "4"], "lr_min = 4.0 must not exceed lr = 0.5"),
        (["--lr", "nan"], "lr = nan must be a finite number"),
        (["--config", "missing.yaml"], "Cannot read the configuration missing.yaml"),
        (["--device", "abacus"], "device 'abacus' cannot be used here"),
    ],
)
def test_bad_options(cli: Any, tmp_path: Path, words: list[str], part: str) -> None:
    assert_refused(cli("train", "toy", *words), part)
    if words[0] != "--device":  # only the trainer looks at that, after the run was made
        assert os.listdir(tmp_path) == []


def test_bad_config_file(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("total_stps: 7\n")
    assert_refused(
        cli("train", "toy", "--config", "a.yaml"),
        "a.yaml: there is no option 'total_stps'; did you mean 'total_steps'?",
    )


def test_malformed_command_lines_exit_with_2_as_well(cli: Any) -> None:
    for words in (["trian"], ["train", "toy", "--lrr", "3"], ["train", "toy", "--lr", "x"], []):
        done = cli(*words)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr


def test_an_occupied_run_directory(cli: Any, run: Path) -> None:
    before = digest(run)
    assert_refused(cli("train", "toy", "--run-dir", run), "is not empty")
    assert digest(run) == before


@pytest.mark.parametrize("command", ["eval", "watch", "record"])
def test_not_a_run(cli: Any, tmp_path: Path, command: str) -> None:
    assert_refused(cli(command, "nothing"), "There is no run directory nothing")
    assert_refused(cli(command, "."), "is not a run")
    assert os.listdir(tmp_path) == []


def test_incompatible_resume(cli: Any, run: Path) -> None:
    before = digest(run)
    assert_refused(
        cli("train", "--resume", run, "--lr", 3), "lr = 0.5", "cannot be resumed with 3.0"
    )
    assert_refused(cli("train", "broken", "--resume", run), "is one of 'toy', not of 'broken'")
    assert_refused(cli("train", "--resume", run, "--run-dir", "x"), "leave out --run-dir")
    assert_refused(cli("train", "--resume", "nothing"), "There is no run directory")
    assert digest(run) == before


def test_corrupt_checkpoints(cli: Any, run: Path) -> None:
    newest = sorted((run / "checkpoint").glob("*.json"))
    newest[-1].write_text("rubbish")
    done = cli("train", "--resume", run, "--total-steps", 40)
    assert done.returncode == 0
    assert "WARNING: Skipped a damaged checkpoint" in done.stderr
    assert "Skipped a damaged checkpoint" in (run / "training.log").read_text()
    for path in (run / "checkpoint").glob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:-1])
    before = digest(run)
    assert_refused(cli("train", "--resume", run), "can be read")
    after = digest(run)
    after["training.log"] = before["training.log"]  # says what happened
    assert after == before


def test_config_of_a_run_that_the_trainer_does_not_understand(cli: Any, run: Path) -> None:
    path = run / "config.json"
    path.write_text(path.read_text().replace('"lr"', '"learning_rate"'))
    assert_refused(cli("eval", run), "config.json: there is no option 'learning_rate'")


def test_bad_ways_to_play(cli: Any, run: Path) -> None:
    before = digest(run)
    assert_refused(cli("eval", run, "--episodes", 0), "episodes = 0 is not valid")
    assert_refused(cli("eval", run, "--sticky", 1), "sticky = 1.0 is not valid")
    assert_refused(cli("watch", run, "--greedy", "--sampled"), "exclude each other")
    assert_refused(cli("eval", run, "--out", "no/where/result.json", "--quick"), "Cannot write")
    assert_refused(cli("record", run, "--out", "a.avi"), "ends in .mp4")
    assert_refused(cli("watch", run), "no display", "mario-agents record")
    assert_refused(cli("watch", run, "--view", "window"), "The toy never has a display.")
    assert digest(run) == before
