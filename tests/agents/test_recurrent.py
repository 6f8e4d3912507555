"""A recurrent trainer of one file, from its first step to its video."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import pytest

from mario_agents.evaluation.evaluate import EvalProtocol, Evaluation, evaluate
from mario_agents.run import RunDir
from mario_agents.testing.conformance import check_algorithm
from tests.agents.conftest import Cli
from tests.agents.cue_trainer import TRAINER, CueAlgorithm, CueConfig

CONFIG = CueConfig(total_steps=5_120, eval_interval=0, device="cpu", ui=False)


def evaluated(path: Path, config: CueConfig) -> Evaluation:
    """A run to its end, and how good it is then."""
    RunDir.create(path, trainer="cue", config=config)
    TRAINER.train(config, path, resume=False)
    policy = TRAINER.load_policy(config, path, device="cpu", weights="latest")
    return evaluate(policy, TRAINER.env_kwargs(config), EvalProtocol(episodes=40), max_envs=40)


def test_it_keeps_what_an_algorithm_promises(tmp_path: Path) -> None:
    check_algorithm(CueAlgorithm(), dataclasses.replace(CONFIG, total_steps=512), tmp_path)


def test_a_network_that_remembers_wins(tmp_path: Path) -> None:
    assert evaluated(tmp_path / "run", CONFIG).success_rate.mean == 1.0


def test_a_network_that_does_not_can_only_guess(tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, memory=False)
    success = evaluated(tmp_path / "run", config).success_rate
    assert success.low < 0.5 < success.high


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX shared memory")
def test_it_is_trained_by_workers_resumed_evaluated_and_recorded(cli: Cli) -> None:
    def run(*words: object) -> str:
        done = cli(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    words = ["--run-dir", "run", "--device", "cpu", "--no-ui", "--eval-interval", 0]
    run("train", "cue", *words, "--workers", 1, "--total-steps", 2_560)
    run("train", "--resume", "run", "--workers", 2, "--total-steps", 10_240)
    words = ["run", "--weights", "latest"]
    found = run("eval", *words, "--conditions", "greedy-plain", "--episodes", 20, "--json")
    (measured,) = json.loads(found)["levels"].values()
    assert measured["greedy-plain"]["success_rate"]["mean"] == 1.0
    run("record", *words, "--out", "video.mp4")
    assert Path("video.mp4").stat().st_size > 0
