"""A recurrent trainer of one file, from its first step to its video, and the guide about it."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from mario_agents.evaluation.evaluate import evaluate
from mario_agents.evaluation.results import EvalProtocol, Evaluation
from mario_agents.run import RunDir
from mario_agents.testing.conformance import check_algorithm
from tests.agents.conftest import ROOT, Cli
from tests.agents.cue_trainer import TRAINER, CueAlgorithm, CueConfig

GUIDE = ROOT / "docs" / "pages" / "how-to" / "add-an-algorithm.md"
CONFIG = CueConfig(total_steps=5_120, eval_interval=0, device="cpu", ui=False)


def guide(language: str) -> list[str]:
    """The code of a language in the guide, whose example this trainer is."""
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE.read_text(), re.M | re.S)


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
def test_the_commands_of_the_guide_train_resume_evaluate_and_record(cli: Cli) -> None:
    (commands,) = guide("bash")
    said = {}
    for line in commands.splitlines():
        program, command, *words = shlex.split(line, comments=True)
        assert program == "mario-agents"
        done = cli(command, *words)
        assert done.returncode == 0, done.stderr
        said[command] = done.stdout
    assert list(said) == ["trainers", "train", "eval", "record"]
    (measured,) = json.loads(said["eval"])["levels"].values()
    assert measured["greedy-plain"]["success_rate"]["mean"] == 1.0
    assert Path("cue.mp4").stat().st_size > 0
