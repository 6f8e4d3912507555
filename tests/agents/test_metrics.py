"""Metrics: kinds, loggers and sinks."""

from __future__ import annotations

import csv
import math
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mario_agents.algos.dqn.metrics import METRICS as DDQN
from mario_agents.algos.ppo.metrics import METRICS as PPO
from mario_agents.telemetry import (
    COORDINATOR_METRICS,
    WORKER_METRICS,
    CsvSink,
    MetricLogger,
    RunMetrics,
    TensorBoardSink,
)
from mario_agents.telemetry.schema import counter, gauge, rolling

DEFS = [counter("deaths", "lives"), gauge("epsilon", "chance"), rolling("loss", "loss", window=3)]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_kinds() -> None:
    logger = MetricLogger(DEFS)
    assert math.isnan(logger.snapshot()["epsilon"])
    assert math.isnan(logger.snapshot()["loss"])
    logger.track("deaths")
    logger.track_all({"deaths": 2, "epsilon": 0.5, "loss": 1.0})
    for value in (2.0, 3.0, 7.0):
        logger.track("loss", value)
    logger.track("epsilon", 0.25)
    assert logger.snapshot() == {"deaths": 3.0, "epsilon": 0.25, "loss": 4.0}


def test_mistakes_are_errors() -> None:
    logger = MetricLogger(DEFS)
    with pytest.raises(KeyError, match="no metric 'lose'"):
        logger.track("lose", 1.0)
    with pytest.raises(ValueError, match="cannot shrink"):
        logger.track("deaths", -1)
    with pytest.raises(ValueError, match="defined twice"):
        MetricLogger([*DEFS, DEFS[0]])
    with pytest.raises(ValueError, match="window"):
        rolling("x", "x", window=0)


def test_the_schemas_are_sound() -> None:
    assert MetricLogger(WORKER_METRICS).names[:2] == ("steps", "episodes")
    assert "lr" in MetricLogger(COORDINATOR_METRICS).names
    for own in (DDQN, PPO):
        assert "loss" in MetricLogger(RunMetrics.of(own).worker).names


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["deaths", "epsilon", "loss"]),
            st.floats(0, 1e6, allow_nan=False),
        )
    )
)
def test_a_restored_logger_goes_on_as_the_first_would(tracked: list[tuple[str, float]]) -> None:
    first, second = MetricLogger(DEFS), MetricLogger(DEFS)
    for name, value in tracked:
        first.track(name, value)
    second.restore(first.state())
    for name, value in [("deaths", 1.0), ("loss", 5.0), *tracked[:2]]:
        first.track(name, value)
        second.track(name, value)
    # NaN is not equal to itself, but prints the same.
    assert repr(first.snapshot()) == repr(second.snapshot())


def test_csv_grows_row_by_row(tmp_path: Path) -> None:
    path = tmp_path / "worker_0.csv"
    logger = MetricLogger(DEFS, [CsvSink(path, [metric.name for metric in DEFS])])
    logger.write(10)
    logger.track_all({"deaths": 1, "epsilon": 1 / 3, "loss": 2.5})
    logger.write(20)
    first, second = rows(path)  # before it is closed
    assert (first["step"], first["deaths"], first["epsilon"], first["loss"]) == ("10", "0", "", "")
    assert float(second["epsilon"]) == pytest.approx(1 / 3)
    assert float(second["time"]) >= float(first["time"])
    logger.close()
    logger.close()


def test_csv_of_a_resumed_run_has_no_row_twice(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    sink = CsvSink(path, ["loss"])
    for step in (10, 20, 30):
        sink.write(step, {"loss": step})
    sink.close()
    with path.open("a") as file:
        file.write("40,17000")  # killed in the middle of a line
    sink = CsvSink(path, ["loss", "lr"], resume_step=20)
    sink.write(25, {"loss": 1.0, "lr": 0.5})
    sink.close()
    assert [(row["step"], row["loss"], row["lr"]) for row in rows(path)] == [
        ("10", "10", ""),
        ("20", "20", ""),
        ("25", "1", "0.5"),
    ]


def test_a_new_csv_replaces_and_a_missing_one_is_no_error(tmp_path: Path) -> None:
    CsvSink(tmp_path / "a.csv", ["x"]).write(1, {"x": 1})
    CsvSink(tmp_path / "a.csv", ["x"]).close()
    assert rows(tmp_path / "a.csv") == []
    CsvSink(tmp_path / "b.csv", ["x"], resume_step=5).close()
    assert rows(tmp_path / "b.csv") == []


def test_event_files_are_read_in_the_order_they_were_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorBoard sorts their names as texts; several runs may begin in one second."""
    monkeypatch.setattr("time.time", lambda: 1_700_000_000.5)
    monkeypatch.setattr("mario_agents.telemetry.sinks.tensorboard._numbers", count(8))
    begun = []
    for _ in range(4):
        TensorBoardSink(tmp_path).close()
        begun += sorted({path.name for path in tmp_path.iterdir()} - set(begun))
    assert len(begun) == 4
    assert begun == sorted(begun)


def test_tensorboard_scalars(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    sink = TensorBoardSink(tmp_path)
    for step in (10, 20, 30):
        sink.write(step, {"worker_0/loss": step / 10, "worker_0/epsilon": math.nan})
    sink.close()
    resumed = TensorBoardSink(tmp_path, resume_step=20)
    resumed.write(30, {"worker_0/loss": 9.0})
    resumed.close()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert events.Tags()["scalars"] == ["worker_0/loss"]
    scalars = events.Scalars("worker_0/loss")
    assert [(event.step, event.value) for event in scalars] == [(10, 1.0), (20, 2.0), (30, 9.0)]
