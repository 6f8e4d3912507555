"""Shares of time, by a clock that goes on only when it is told to; and in real, tiny runs."""

from __future__ import annotations

import csv
import dataclasses
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mario_agents.core.algorithm import Algorithm
from mario_agents.run import CheckpointStore, RunDir
from mario_agents.runtime.run import train
from mario_agents.telemetry import TIME_SHARES, Stopwatch
from mario_agents.testing.toy import ToyAlgorithm, ToyConfig
from tests.agents.algorithms import CorridorAlgorithm, PPOCorridorAlgorithm
from tests.agents.test_distributed import DDQN
from tests.agents.test_ppo_trainer import SMALL as PPO

NAMES = tuple(share.name for share in TIME_SHARES)
TOY = ToyConfig(total_steps=640, num_envs=4, log_interval=64, eval_interval=0, ui=False)


class Clock:
    """Stands still."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_shares_of_a_lap_and_the_next() -> None:
    clock = Clock()
    stopwatch = Stopwatch(["play", "learn"], clock=clock)
    with stopwatch.measure("play"):
        clock.now += 3
    clock.now += 1  # on none of them
    with stopwatch.measure("learn"):
        clock.now += 4
        with stopwatch.measure("play"):
            clock.now += 2
    assert stopwatch.lap() == {"play": 0.5, "learn": 0.4, "time_span": 10.0}
    clock.now += 5
    assert stopwatch.lap() == {"play": 0.0, "learn": 0.0, "time_span": 5.0}


def test_a_lap_divides_what_is_going_on() -> None:
    clock = Clock()
    stopwatch = Stopwatch(["play"], clock=clock)
    with stopwatch.measure("play"):
        clock.now += 2
        assert stopwatch.lap() == {"play": 1.0, "time_span": 2.0}
        clock.now += 1
    clock.now += 3
    assert stopwatch.lap() == {"play": 0.25, "time_span": 4.0}


def test_an_error_ends_what_was_measured() -> None:
    clock = Clock()
    stopwatch = Stopwatch(["play"], clock=clock)

    def fail() -> None:
        with stopwatch.measure("play"):
            clock.now += 1
            raise ValueError("over")

    with pytest.raises(ValueError, match="over"):
        fail()
    clock.now += 1
    assert stopwatch.lap()["play"] == 0.5


def test_no_time_and_no_such_name() -> None:
    stopwatch = Stopwatch(["play"], clock=Clock())
    assert math.isnan(stopwatch.lap()["play"])
    with pytest.raises(KeyError, match="no share 'sleep'"), stopwatch.measure("sleep"):
        pass


@given(st.lists(st.tuples(st.sampled_from(["in", "out", "lap"]), st.integers(0, 9)), max_size=40))
def test_shares_are_those_of_a_slow_count(actions) -> None:
    """Against a list of seconds, each with what went on at the time."""
    clock = Clock()
    stopwatch = Stopwatch("abc", clock=clock)
    going_on: list = []
    seconds: list[str] = []
    for number, (action, length) in enumerate([*actions, ("lap", 1)]):
        seconds += [going_on[-1][0] if going_on else "nothing"] * length
        clock.now += length
        if action == "in":
            name = "abc"[number % 3]
            going_on.append((name, context := stopwatch.measure(name)))
            context.__enter__()
        elif action == "out" and going_on:
            going_on.pop()[1].__exit__(None, None, None)
        elif action == "lap":
            lap = stopwatch.lap()
            assert lap["time_span"] == len(seconds)
            for name in "abc" if seconds else "":
                assert lap[name] == pytest.approx(seconds.count(name) / len(seconds))
            seconds = []


def rows(path: Path, algorithm: Algorithm, config) -> list[dict[str, float]]:
    """Train; returns the times of the first worker, row by row."""
    run = RunDir.create(path, trainer="test", config=config)
    train(algorithm, config, run, resume=False)
    with run.csv_path("worker_0").open() as file:
        return [{k: float(row[k]) for k in ("time_span", *NAMES)} for row in csv.DictReader(file)]


@pytest.mark.parametrize(
    ("algorithm", "config"),
    [
        (CorridorAlgorithm(), dataclasses.replace(DDQN, workers=0)),
        (PPOCorridorAlgorithm(), PPO),
        (PPOCorridorAlgorithm(), dataclasses.replace(PPO, workers=1)),
    ],
    ids=["ddqn", "ppo", "ppo with a worker process"],
)
@pytest.mark.slow
def test_a_run_says_where_its_time_went(tmp_path: Path, algorithm: Algorithm, config) -> None:
    written = rows(tmp_path / "run", algorithm, config)
    assert written
    for row in written:
        assert row["time_span"] > 0
        assert all(0 <= row[name] <= 1 for name in NAMES)
        assert sum(row[name] for name in NAMES) <= 1 + 1e-6
    for name in ("time_env", "time_inference", "time_learning"):
        assert any(row[name] > 0 for row in written), name
    waited = any(row["time_waiting"] > 0 for row in written)
    assert waited == (config.workers > 0)


def test_an_algorithm_that_measures_nothing_is_measured(tmp_path: Path) -> None:
    written = rows(tmp_path / "run", ToyAlgorithm(), TOY)
    for name in ("time_env", "time_inference", "time_learning"):
        assert all(row[name] > 0 for row in written), name


def test_a_resumed_run_has_the_shares_that_were_saved(tmp_path: Path) -> None:
    written = rows(tmp_path / "run", ToyAlgorithm(), TOY)
    checkpoint = CheckpointStore(RunDir.open(tmp_path / "run").checkpoint_path).load_latest()
    saved = checkpoint.state["worker"]["report"]["scalars"]
    for name in ("time_span", *NAMES):
        assert saved[name] == pytest.approx(written[-1][name], rel=1e-6)
