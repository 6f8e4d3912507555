"""How long a run has been training: in its metrics, with its evaluations, and over a resume."""

from __future__ import annotations

import dataclasses
import itertools
import sys
import time
from pathlib import Path

import pytest

from mario_agents.report.tables import read_table
from mario_agents.run import RunDir
from mario_agents.run.clock import TrainingClock
from mario_agents.run.records import read_evaluations
from mario_agents.runtime.run import train
from mario_agents.testing.toy import ToyAlgorithm, ToyConfig

TOY = ToyConfig(
    total_steps=640,
    num_envs=4,
    log_interval=64,
    checkpoint_interval=640,
    eval_interval=128,
    eval_episodes=2,
    pause=0.02,
    device="cpu",
    ui=False,
)


def test_a_clock_that_goes_on_and_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    clock = TrainingClock()
    now = 103.0
    assert clock.seconds == 3.0
    clock.begin()
    clock.go_on_from(40.0)
    now = 105.0
    assert clock.seconds == 42.0
    clock.end()
    now = 110.0
    assert clock.seconds == 42.0
    assert TrainingClock(began=90.0).seconds == 20.0


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX shared memory")
@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.slow
def test_a_run_says_how_long_it_has_been_training(tmp_path: Path, workers: int) -> None:
    config = dataclasses.replace(TOY, workers=workers)
    run = RunDir.create(tmp_path / "run", trainer="toy", config=config)
    begin, unix = time.monotonic(), time.time()
    train(ToyAlgorithm(), config, run, resume=False)
    took = time.monotonic() - begin
    first = read_table(run.csv_path("coordinator")).last("seconds")
    assert 10 * TOY.pause <= first <= took
    time.sleep(took + 0.1)  # what lies between is not training
    begin = time.monotonic()
    more = dataclasses.replace(config, total_steps=1280)
    train(ToyAlgorithm(), more, run, resume=True)
    took = time.monotonic() - begin
    seconds = read_table(run.csv_path("coordinator")).columns["seconds"].tolist()
    assert all(a <= b for a, b in itertools.pairwise(seconds))
    assert first < seconds[-1] <= first + took
    records, damaged = read_evaluations(run.evaluations_path)
    assert records
    assert not damaged
    last = 0.0
    for record in records:
        assert record.seconds is not None
        assert record.known is not None
        assert record.time is not None
        assert last <= record.seconds <= record.known
        assert unix <= record.time <= time.time()
        last = record.seconds
    assert records[-1].step > 640
    assert first - 0.001 <= last <= seconds[-1] + 0.001  # evaluations keep whole milliseconds
