"""Evaluations in a process of their own: the same numbers, whatever becomes of the process."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from mario_agents.acting.environments import make_vector
from mario_agents.acting.plugin_policy import trained_policy
from mario_agents.algos.ppo.algorithm import PPOAlgorithm
from mario_agents.algos.ppo.config import PPOConfig
from mario_agents.config import TrainConfig
from mario_agents.core.algorithm import Algorithm, Spaces
from mario_agents.core.types import Learner, Metrics
from mario_agents.evaluation.evaluate import evaluate
from mario_agents.evaluation.results import EvalProtocol
from mario_agents.evaluation.seeds import training_seed
from mario_agents.run import RunDir
from mario_agents.run.records import PlayedEpisode, read_evaluations, read_videos
from mario_agents.runtime.evaluator import Evaluator
from mario_agents.runtime.processes import evaluator_process
from mario_agents.testing.toy import ToyAlgorithm, ToyConfig
from tests.agents.algorithms import EvaluatedHereOnly, EvaluationThatKills
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a thread evaluates there")

TOY = ToyConfig(eval_episodes=2, eval_interval=100, total_steps=10_000, device="cpu", ui=False)
PPO = PPOConfig(
    eval_episodes=3, eval_interval=100, total_steps=10_000, observation="tiles", hidden=16,
    stall_limit=30, device="cpu", ui=False, seed=5,
)  # fmt: skip
Open = Callable[..., tuple[Evaluator, Learner]]


@pytest.fixture
def begin(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Open]:
    """Makes an evaluator that has begun, and a learner."""
    caplog.set_level(logging.INFO, "mario_agents")
    opened: list[Evaluator] = []

    def begin(algorithm: Algorithm[Any, Any], config: TrainConfig) -> tuple[Evaluator, Learner]:
        with closing(make_vector(algorithm.env_kwargs(config), 1)) as envs:
            spaces = Spaces.of(envs)
        path = tmp_path / "run"
        if path.exists():
            run = RunDir.open(path)
        else:
            run = RunDir.create(path, trainer="any", config=config)
        evaluator = Evaluator(algorithm, config, run, spaces, torch.device("cpu"))
        opened.append(evaluator)
        evaluator.begin(0)
        return evaluator, algorithm.learner(config, spaces)

    yield begin
    for evaluator in opened:
        evaluator.close()


def ready(evaluator: Evaluator) -> int:
    """Wait until the process can begin; its id."""

    def waits() -> bool:
        evaluator.result()
        return evaluator._process is not None and evaluator._process.ready

    until(waits)
    assert evaluator._process is not None
    return evaluator._process.pid


def evaluated(evaluator: Evaluator, learner: Learner, step: int) -> Metrics | None:
    evaluator.start(learner.model.state_dict(), step)
    return evaluator.result(wait=True)


@pytest.mark.parametrize(("algorithm", "config"), [(PPOAlgorithm(), PPO), (ToyAlgorithm(), TOY)])
@pytest.mark.slow
def test_a_process_finds_what_a_direct_evaluation_finds(
    begin: Open, tmp_path: Path, algorithm: Any, config: TrainConfig
) -> None:
    evaluator, learner = begin(algorithm, config)
    ready(evaluator)
    metrics = evaluated(evaluator, learner, 100)
    assert evaluator._player is None  # nothing was played, and no video made, in this process
    seed = training_seed(config.seed, 100, 1)
    expected = [
        evaluate(
            trained_policy(algorithm, config, learner, torch.device("cpu")),
            algorithm.env_kwargs(config),
            EvalProtocol(config.eval_episodes, sticky=sticky, seed=seed),
        )
        for sticky in (0.0, 0.25)
    ]
    ((record,), damaged) = read_evaluations(tmp_path / "run" / "evaluations.jsonl")
    assert not damaged
    assert [record.plain, record.sticky] == [
        tuple(map(PlayedEpisode.of, each.episodes)) for each in expected
    ]
    assert metrics is not None
    assert metrics["eval_reward"] == expected[0].mean_reward.mean
    ((video, made),) = read_videos(tmp_path / "run" / "videos")[0]
    assert (video.name, made.step) == ("step-100.mp4", 100)
    best = max(record.plain + record.sticky, key=lambda each: (each.merit, each.reward))
    assert made.episode == best


@pytest.mark.slow
def test_a_process_that_dies_or_hangs_is_replaced_and_then_done_without(
    begin: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluator, learner = begin(ToyAlgorithm(), TOY)
    pid = ready(evaluator)
    os.kill(pid, signal.SIGSTOP)
    (tmp_path / "run" / "videos").mkdir()
    for suffix in ("mp4", "gif"):
        (tmp_path / "run" / "videos" / f".step-50.{suffix}.{pid}.tmp.{suffix}").touch()
    monkeypatch.setattr(evaluator_process, "SILENT_SECONDS", 0.5)
    assert evaluated(evaluator, learner, 100) is None
    assert (
        "The process that evaluates is replaced. It gave no sign of life for 0.5 seconds. "
        "The evaluation of step 100 is not made."
    ) in caplog.messages
    monkeypatch.undo()
    assert list((tmp_path / "run" / "videos").iterdir()) == []  # what it was writing is gone too
    ready(evaluator)
    assert evaluated(evaluator, learner, 200) is not None
    for times in range(3):
        caplog.clear()
        os.kill(ready(evaluator), signal.SIGKILL)
        until(lambda: evaluator.result() or caplog.messages)
        (message,) = caplog.messages
        assert message.endswith("It was killed by SIGKILL.")
        assert ("3 times in a row" in message) == (times == 2)
    assert evaluated(evaluator, learner, 300) is not None
    assert evaluator._process is None


STOPPED = """
import sys, time
from contextlib import closing
from pathlib import Path
import torch
from mario_agents.acting.environments import make_vector
from mario_agents.core.algorithm import Spaces
from mario_agents.evaluation.seeds import training_seed
from mario_agents.run import RunDir
from mario_agents.runtime.evaluator import Evaluator
from mario_agents.runtime.processes import evaluator_process
from mario_agents.testing.toy import ToyConfig
from tests.agents.algorithms import EvaluationThatWaits

evaluator_process.SILENT_SECONDS = 4.0
algorithm = EvaluationThatWaits()
config = ToyConfig(eval_episodes=1, eval_interval=100, total_steps=10_000, device="cpu", ui=False)
with closing(make_vector(algorithm.env_kwargs(config), 1)) as envs:
    spaces = Spaces.of(envs)
run = RunDir.create(Path("run"), trainer="any", config=config)
with closing(Evaluator(algorithm, config, run, spaces, torch.device("cpu"))) as evaluator:
    evaluator.begin(0)
    while not evaluator._process.ready:
        time.sleep(0.02)
    evaluator.start(algorithm.learner(config, spaces).model.state_dict(), 100)
    print(evaluator.result(wait=True) is not None)
"""


@pytest.mark.slow
def test_an_evaluation_survives_its_command_being_stopped_and_going_on(
    tmp_path: Path, cli_env: dict[str, str]
) -> None:
    """As by Ctrl-Z and fg, for longer than a process may be silent."""
    command = subprocess.Popen(
        [sys.executable, "-c", STOPPED], cwd=tmp_path, env=cli_env, stdout=subprocess.PIPE,
        start_new_session=True, text=True,
    )  # fmt: skip
    try:
        until((tmp_path / "evaluating").exists)
        os.killpg(command.pid, signal.SIGSTOP)
        time.sleep(8)
        (tmp_path / "go on").touch()
        os.killpg(command.pid, signal.SIGCONT)
        assert command.communicate(timeout=PATIENCE)[0] == "True\n"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(command.pid, signal.SIGKILL)
        command.wait()


@pytest.mark.slow
def test_what_fails_in_the_process_is_played_here(
    begin: Open, caplog: pytest.LogCaptureFixture
) -> None:
    evaluator, learner = begin(EvaluatedHereOnly(), TOY)
    pid = ready(evaluator)
    assert evaluated(evaluator, learner, 100) is not None
    assert "KeyError: 'only there'" in caplog.text
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.slow
def test_a_run_outlives_evaluations_that_kill(begin: Open) -> None:
    evaluator, learner = begin(EvaluationThatKills(), TOY)
    for step in (100, 200, 300):
        ready(evaluator)
        assert evaluated(evaluator, learner, step) is None
    assert evaluated(evaluator, learner, 400) is not None


def test_who_is_evaluated_by_a_thread(begin: Open) -> None:
    class Local(ToyAlgorithm):
        pass

    configured = ToyAlgorithm()
    configured.size = 3  # type: ignore[attr-defined]
    for algorithm in (Local(), configured):
        assert begin(algorithm, TOY)[0]._process is None
    short = TOY.__class__(eval_interval=100, total_steps=100, device="cpu")
    evaluator, learner = begin(ToyAlgorithm(), short)
    assert evaluator._process is None
    evaluator.start_last(learner.model.state_dict(), 100)
    assert evaluator.result(wait=True) is not None


@pytest.mark.slow
def test_the_end_does_not_wait_for_a_process_that_starts_or_is_slow(
    begin: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluator, learner = begin(ToyAlgorithm(), TOY)
    assert evaluator._process is not None
    os.kill(evaluator._process.pid, signal.SIGSTOP)  # it is not ready, and will not be
    evaluator.start(learner.model.state_dict(), 100)  # so in this process
    evaluator.end_training()
    assert evaluator.result(wait=True) is not None
    assert evaluator._process is None
    evaluator, learner = begin(ToyAlgorithm(), TOY)
    os.kill(ready(evaluator), signal.SIGSTOP)
    evaluator.start(learner.model.state_dict(), 200)
    monkeypatch.setattr("mario_agents.runtime.evaluator.END_SECONDS", 0.1)
    evaluator.end_training()
    assert evaluator.result(wait=True) is not None
    records, _ = read_evaluations(tmp_path / "run" / "evaluations.jsonl")
    assert [record.step for record in records] == [100, 200]
