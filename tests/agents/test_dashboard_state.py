"""What a dashboard knows of a run, without a terminal."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from functools import reduce as fold
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mario_agents.config import TrainConfig
from mario_agents.monitor import draw, draw_learner
from mario_agents.monitor.files import stored_state
from mario_agents.monitor.plain import summary
from mario_agents.monitor.series import MAX_POINTS, Series
from mario_agents.monitor.state import (
    LAST_X,
    MAX_LEVELS,
    MAX_LOGS,
    MAX_WORKERS,
    Dashboard,
    begin_again,
    reduce,
)
from mario_agents.run import RunDir
from mario_agents.telemetry import MetricSnapshot, RollingMean
from mario_agents.telemetry.events import (
    COORDINATOR,
    MAIN,
    DeathPositions,
    Heartbeats,
    LearnerStatus,
    Log,
    Metrics,
    ProcessHeartbeat,
    WorkerStatus,
)
from tests.agents.dashboards import (
    METRICS,
    START,
    envelope,
    heartbeats,
    learner_status,
    metrics,
    second_of,
    state_after,
    worker_status,
)

REWARD, LOSS = METRICS.find("reward"), METRICS.find("loss")


def test_the_latest_of_everything():
    state = state_after(30, 3)
    assert list(state.workers) == ["worker_0", "worker_1", "worker_2"]
    assert state.workers["worker_2"].status == worker_status(2, 30)
    assert state.learner == learner_status(30)
    assert state.step == 50 * 30 * 3
    assert state.phase == "running"
    assert state.level == "1-1"
    assert sum(state.deaths["1-1"].values()) == 31 * 3 * 2
    assert state.deaths["1-1"][1100] >= 31 * 3
    assert [line.text for line in state.logs] == [f"Second {s} of many." for s in (0, 10, 20, 30)]
    assert state.value(REWARD) == pytest.approx((300 + 280 + 260) / 3)
    assert len(state.curves["reward"].points) == 16


def test_workers_are_in_the_order_of_their_numbers():
    events = [envelope(worker_status(n, 1), f"worker_{n}") for n in (10, 2, 0, 9)]
    state = fold(reduce, events, Dashboard())
    assert list(state.workers) == ["worker_0", "worker_2", "worker_9", "worker_10"]


def test_rolling_means_are_weighted_by_their_windows():
    def snapshot(mean: float, count: int) -> Metrics:
        rolling = {"loss": RollingMean(mean, count)}
        return Metrics(step=1, snapshot=MetricSnapshot({}, {}, rolling, {}))

    events = [
        envelope(snapshot(1.0, 30), "worker_0"),
        envelope(snapshot(5.0, 10), "worker_1"),
        envelope(snapshot(math.nan, 0), "worker_2"),
    ]
    state = fold(reduce, events, Dashboard())
    assert state.value(LOSS) == 2.0
    assert math.isnan(state.value(REWARD))


def test_what_a_replaced_process_still_had_to_say_is_ignored():
    state = reduce(Dashboard(), envelope(worker_status(0, 9), generation=1))
    late = reduce(state, envelope(worker_status(0, 5), generation=0))
    assert late.workers == state.workers


def test_a_worker_dies_and_comes_back():
    state = state_after(10, 2)
    dead = ProcessHeartbeat(source="worker_1", pid=0, age=3.0, restarts=0)
    state = reduce(state, envelope(heartbeats(2, 11, worker_1=dead), MAIN, 11))
    assert state.workers["worker_1"].gone
    assert not state.workers["worker_0"].gone
    _, rows = draw.workers(state, START + 11, 79)
    assert "✖ 1 gone; to be replaced for the 1st time" in rows.plain
    born = ProcessHeartbeat(source="worker_1", pid=300, age=0.2, restarts=1)
    state = reduce(state, envelope(heartbeats(2, 12, worker_1=born), MAIN, 12))
    state = reduce(state, envelope(worker_status(1, 12, "starting"), "worker_1", 12, generation=1))
    assert not state.workers["worker_1"].gone
    _, rows = draw.workers(state, START + 12, 200)
    assert rows.plain.splitlines()[1].startswith("○ 1")
    assert rows.plain.splitlines()[1].endswith("↻1")


def test_the_age_of_a_beat_grows_until_the_next_one_is_told():
    state = reduce(Dashboard(), envelope(heartbeats(1, 0), MAIN, 0))
    worker = state.workers["worker_0"]
    assert worker.age(START + 4) == pytest.approx(4.1)
    state = reduce(state, envelope(worker_status(0, 5, "stopped"), "worker_0", 5))
    assert math.isnan(state.workers["worker_0"].age(START + 60))


def test_a_run_has_ended_when_all_its_processes_say_so():
    assert Dashboard().phase == "waiting"
    state = reduce(Dashboard(), envelope(worker_status(0, 1, "starting")))
    assert state.phase == "starting"
    state = reduce(state, envelope(worker_status(0, 2, "stopped")))
    state = reduce(state, envelope(learner_status(2), COORDINATOR))
    assert state.phase == "running"
    state = reduce(state, envelope(learner_status(2, "stopped"), COORDINATOR))
    assert state.phase == "stopped"


def test_a_resumed_run_counts_its_restarts_anew_and_keeps_its_curves():
    state = reduce(state_after(9, 1), envelope(worker_status(0, 9), generation=4))
    again = begin_again(state)
    assert again.curves == state.curves
    assert again.phase == "waiting"
    heard = reduce(again, envelope(worker_status(0, 10), generation=0))
    assert heard.workers["worker_0"].status == worker_status(0, 10)


def test_texts_from_elsewhere_cannot_command_the_terminal():
    text = "\x1b]0;title\x07 a\nb \x9b31m [bold]c[/bold] é"
    state = reduce(Dashboard(), envelope(Log(level=40, logger="x", text=text), "w\x1b[2J"))
    (line,) = state.logs
    assert all(c.isprintable() for c in line.text + line.source)
    assert "[bold]c[/bold] é" in draw.log_line(line, "12:00").plain


# -- any events ------------------------------------------------------------------------------

numbers = st.floats()
counts = st.integers(-(2**63), 2**64 - 1)
names = st.sampled_from(["worker_0", "worker_1", "worker_\u0661", "worker_9999999999", "main", "x"])
texts = st.text(max_size=20)
sources = st.one_of(names, st.just(COORDINATOR), texts)
means = st.builds(RollingMean, numbers, counts)
keys = st.one_of(st.sampled_from(["reward", "success", "loss", "q_mean", "epsilon"]), texts)
snapshots = st.builds(
    MetricSnapshot,
    st.dictionaries(keys, numbers, max_size=3),
    st.dictionaries(keys, numbers, max_size=3),
    st.dictionaries(keys, means, max_size=3),
    st.just({}),
)
processes = st.builds(ProcessHeartbeat, source=sources, pid=counts, age=numbers, restarts=counts)
states = st.sampled_from(["starting", "running", "stopped"])
happenings = st.one_of(
    st.builds(Metrics, step=counts, snapshot=snapshots),
    st.builds(Log, level=counts, logger=texts, text=texts),
    st.builds(DeathPositions, level=texts, positions=st.lists(counts, max_size=4)),
    st.builds(WorkerStatus, state=states, pid=counts, step=counts, max_stuck=counts),
    st.builds(LearnerStatus, state=states, pid=counts, step=counts, version=counts),
    st.builds(Heartbeats, step=counts, processes=st.lists(processes, max_size=3)),
)
envelopes = st.builds(
    lambda event, source, generation, seconds: msgspec.structs.replace(
        envelope(event, source, generation=generation), time=seconds
    ),
    *(happenings, sources, counts, numbers),
)


@settings(max_examples=150)
@given(st.lists(envelopes, max_size=12), numbers, st.integers(1, 250))
def test_any_events_lead_to_a_state_that_can_be_drawn(events, now, width):
    state = fold(reduce, events, Dashboard(total_steps=1000, metrics=METRICS))
    assert state.phase in ("waiting", "starting", "running", "stopped")
    drawn = [
        draw.header(state, "running", now, width),
        draw_learner.learner(state, now, width),
        draw_learner.learner(state, now, width, panels=9),
        *draw.workers(state, now, width),
        draw.deaths(state, state.level, width),
        *(draw.log_line(line, "12:00:00") for line in state.logs),
    ]
    for text in drawn:
        assert all(c.isprintable() or c == "\n" for c in text.plain)
    assert summary(state, living=False, now=now)
    for series in state.curves.values():
        assert all(math.isfinite(point) for point in series.points)


def test_a_flood_takes_bounded_memory():
    state = Dashboard()
    for number in range(2 * MAX_WORKERS):
        log = Log(level=20, logger="x", text="x" * 5000)
        for event in (worker_status(0, 1), log):
            state = reduce(state, envelope(event, f"worker_{number}"))
        deaths = DeathPositions(level=str(number), positions=[number * 1000])
        state = reduce(state, envelope(deaths))
    assert len(state.workers) == MAX_WORKERS
    assert len(state.deaths) == MAX_LEVELS
    assert len(state.logs) == MAX_LOGS
    assert state.logged == 2 * MAX_WORKERS
    assert max(len(line.text) for line in state.logs) <= 300
    assert max(x for buckets in state.deaths.values() for x in buckets) <= LAST_X


@given(st.lists(st.floats(-1e3, 1e3), max_size=2000), st.floats(0.1, 50))
def test_a_series_keeps_the_whole_run_in_few_points(values, pace):
    series = Series()
    for index, value in enumerate(values):
        if series.due(index * pace):
            series = series.add(index * pace, value)
    assert len(series.points) <= MAX_POINTS
    if values:
        assert min(values) <= min(series.points)
        assert max(series.points) <= max(values)
        assert series.last <= pace * (len(values) - 1)


# -- files -----------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir.create(tmp_path / "run", trainer="walk", config=TrainConfig(total_steps=500))


def test_a_finished_run_is_read_from_its_files(run):
    run.csv_path("worker_0").write_text(
        "step,time,steps,episodes,deaths,reward,success,best_x,new_loss\n"
        "100,1800000000.0,100,4,3,1.5,,400,0.5\n"
        "200,1800000010.0,200,9,7,2.5,0.25,800,0.25\n"
        "300,18000"
    )
    run.csv_path("coordinator").write_text("step,time,updates,lr\n200,1800000011,50,0.001\n")
    run.hotspots_path.write_text('{"version": 1, "bucket_size": 25, "levels": {"1-1": {"500": 7}}}')
    run.log_path.write_text(
        "2026-11-21 13:00:00,123 INFO Training.\nTraceback\n2026-11-21 13:00:01,0 WARNING Hm.\n"
    )
    state = stored_state(run)
    worker = state.workers["worker_0"]
    assert (state.step, state.total_steps, state.phase) == (200, 500, "stopped")
    assert (worker.number("steps"), worker.number("deaths"), worker.best_x) == (200, 7, 800)
    assert (state.learner.version, state.of_learner("lr")) == (50, 0.001)
    assert state.curves["reward"].points == (1.5, 2.5)
    assert state.curves["success"].points == (0.25,)
    assert state.deaths == {"1-1": {500: 7}}
    assert [(line.level, line.text) for line in state.logs] == [
        (logging.INFO, "Training."),
        (logging.WARNING, "Hm."),
    ]
    text = summary(state, living=False, now=START)
    assert "200/500 steps" in text
    assert "new loss 0.25" in text


def test_missing_and_damaged_files_are_named(run):
    run.csv_path("worker_0").write_bytes(b"step,time,steps\n\x00\xff,b,c\n7,nan,3\n")
    run.hotspots_path.write_text("{")
    state = stored_state(run)
    told = " ".join(line.text for line in state.logs)
    assert "coordinator.csv cannot be read" in told
    assert "training.log cannot be read" in told
    assert "death_hotspots.json" in told
    assert state.phase == "waiting"


def test_of_a_long_file_every_nth_row_and_the_last_are_read(run):
    lines = [f"{n},{START + n},{n},{n}.0" for n in range(1, 5001)]
    run.csv_path("worker_0").write_text("\n".join(["step,time,steps,reward", *lines, ""]))
    state = stored_state(run)
    assert state.step == state.workers["worker_0"].number("steps") == 5000
    assert len(state.curves["reward"].points) > 100


def test_the_state_of_a_run_is_cheap_to_keep():
    """No time is measured here: only that no event copies what grows with the run."""
    state = replace(state_after(3, 16))
    for second in range(4, 300):
        state = fold(reduce, second_of(16, second), state)
    assert len(state.curves["loss"].points) <= MAX_POINTS
    assert state.step == metrics(15, 299).step


def test_what_a_worker_reached_outlives_its_process():
    state = reduce(Dashboard(), envelope(metrics(0, 5, best_x=900.0)))
    state = reduce(state, envelope(metrics(0, 5, best_x=300.0), generation=1))
    assert state.workers["worker_0"].best_x == 900.0
    assert begin_again(state).workers["worker_0"].best_x == 900.0
