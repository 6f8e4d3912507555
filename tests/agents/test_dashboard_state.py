"""What a dashboard knows and says, without a terminal."""

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
from mario_agents.metrics import MetricSnapshot, RollingMean
from mario_agents.monitor import draw
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
from mario_agents.parallel.events import (
    COORDINATOR,
    MAIN,
    DeathPositions,
    LearnerStatus,
    Log,
    MemberPulse,
    Metrics,
    Pulses,
    WorkerStatus,
)
from mario_agents.run import RunDir
from tests.agents.dashboards import (
    START,
    envelope,
    learner_status,
    metrics,
    pulses,
    second_of,
    state_after,
    worker_status,
)


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
    assert state.mean("reward") == pytest.approx((300 + 280 + 260) / 3)
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
    assert state.mean("loss") == 2.0
    assert math.isnan(state.mean("reward"))


def test_what_a_replaced_process_still_had_to_say_is_ignored():
    state = reduce(Dashboard(), envelope(worker_status(0, 9), generation=1))
    late = reduce(state, envelope(worker_status(0, 5), generation=0))
    assert late.workers == state.workers


def test_a_worker_dies_and_comes_back():
    state = state_after(10, 2)
    dead = MemberPulse(source="worker_1", pid=0, age=3.0, restarts=0)
    state = reduce(state, envelope(pulses(2, 11, worker_1=dead), MAIN, 11))
    assert state.workers["worker_1"].gone
    assert not state.workers["worker_0"].gone
    _, rows = draw.workers(state, START + 11, 79)
    assert "✖ 1 gone; to be replaced for the 1st time" in rows.plain
    born = MemberPulse(source="worker_1", pid=300, age=0.2, restarts=1)
    state = reduce(state, envelope(pulses(2, 12, worker_1=born), MAIN, 12))
    state = reduce(state, envelope(worker_status(1, 12, "starting"), "worker_1", 12, generation=1))
    assert not state.workers["worker_1"].gone
    _, rows = draw.workers(state, START + 12, 200)
    assert rows.plain.splitlines()[1].startswith("○ 1")
    assert rows.plain.splitlines()[1].endswith("↻1")


def test_the_age_of_a_beat_grows_until_the_next_one_is_told():
    state = reduce(Dashboard(), envelope(pulses(1, 0), MAIN, 0))
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
members = st.builds(MemberPulse, source=sources, pid=counts, age=numbers, restarts=counts)
states = st.sampled_from(["starting", "running", "stopped"])
happenings = st.one_of(
    st.builds(Metrics, step=counts, snapshot=snapshots),
    st.builds(Log, level=counts, logger=texts, text=texts),
    st.builds(DeathPositions, level=texts, positions=st.lists(counts, max_size=4)),
    st.builds(
        WorkerStatus,
        state=states,
        **dict.fromkeys(["pid", "step", "steps", "episodes", "deaths", "flags"], counts),
        **dict.fromkeys(["train_steps", "packets", "saves", "restores"], counts),
        **dict.fromkeys(["stuck", "max_stuck"], counts),
        **dict.fromkeys(["epsilon", "best_x", "reward", "steps_per_second"], numbers),
    ),
    st.builds(
        LearnerStatus,
        state=states,
        **dict.fromkeys(["pid", "step", "updates", "version", "stale"], counts),
        **dict.fromkeys(["lr", "grad_norm", "updates_per_second", "staleness"], numbers),
    ),
    st.builds(Pulses, step=counts, members=st.lists(members, max_size=3)),
)
envelopes = st.builds(
    lambda event, source, generation, seconds: msgspec.structs.replace(
        envelope(event, source, generation=generation), time=seconds
    ),
    *(happenings, sources, counts, numbers),
)


@settings(deadline=None, max_examples=150)
@given(st.lists(envelopes, max_size=12), numbers, st.integers(1, 250))
def test_any_events_lead_to_a_state_that_can_be_drawn(events, now, width):
    state = fold(reduce, events, Dashboard(total_steps=1000))
    assert state.phase in ("waiting", "starting", "running", "stopped")
    drawn = [
        draw.header(state, "running", now, width),
        draw.learner(state, now, width),
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


# -- numbers and pictures --------------------------------------------------------------------


UNITS = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


@given(st.one_of(st.floats(), st.floats(-1e6, 1e6)), st.integers(1, 8))
def test_a_number_fits_and_is_never_another_one(value, room):
    text = draw.short(value, room)
    assert len(text) <= room
    if text in ("…", "-", "inf", "-inf"):
        assert room < 7 or not math.isfinite(value) or abs(value) >= 1e15
    else:
        unit = UNITS.get(text[-1], 1.0)
        number = unit * float(text[:-1] if unit > 1 else text)
        # The fewest digits are one.
        assert number == pytest.approx(value, rel=0.006 if room >= 7 else 0.5, abs=1e-9)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (3161, "3161"), (12_345, "12.3k"), (999_600, "1M"), (1_234_567, "1.23M"),
        (0.05, "0.05"), (0.00025, "2.5e-4"), (1234.6, "1235"), (-0.5, "-0.5"), (0.123, "0.123"),
        (math.nan, "-"), (math.inf, "inf"),
    ],
)  # fmt: skip
def test_numbers(value, text):
    assert draw.short(value) == text


def test_where_there_is_little_room_digits_go_and_not_units():
    assert [draw.short(12_345, room) for room in (5, 4, 3, 2)] == ["12.3k", "12k", "12k", "…"]
    assert [draw.short(-0.00123, room) for room in (7, 6)] == ["-1.2e-3", "-1e-3"]


@given(st.floats())
def test_an_age_takes_four_characters(value):
    assert len(draw.age(value)) <= 4


def test_ages():
    ages = [0.04, 9.94, 9.96, 999, 1000, 59_969, 86_400, 1e30, math.nan, -3]
    assert [draw.age(seconds) for seconds in ages] == [
        *("0.0s", "9.9s", "10s", "999s", "17m", "999m", "24h", "999h", "-", "0.0s"),
    ]


@given(st.dictionaries(st.integers(0, 300).map(lambda n: 25 * n), st.integers(1, 99), min_size=1),
       st.integers(1, 200))  # fmt: skip
def test_every_death_is_in_the_strip(buckets, width):
    end = max(buckets) + 25
    strip = draw.heat(buckets, end, width).plain
    assert len(strip) == width
    seen = {i for i, c in enumerate(strip) if c != "·"}
    for x in buckets:
        first, last = x * width // end, min((x + 24) * width // end, width - 1)
        assert seen & set(range(first, last + 1))
    assert len(seen) <= len(buckets) * (width * 25 // end + 1)


def test_the_deadliest_place_is_the_highest_and_the_hottest():
    strip = draw.heat({0: 1, 500: 100, 900: 25}, 1000, 10)
    assert strip.plain == "▁····█···▄"
    styles = {strip.plain[span.start]: str(span.style) for span in strip.spans}
    assert styles["█"] == "#ff2a2a"
    assert styles["▁"] != styles["▄"] != styles["█"]


def test_saves_and_restores_are_shown_as_people_know_them():
    status = msgspec.structs.replace(
        worker_status(0, 1), saves=12, restores=8, stuck=2, max_stuck=3
    )
    state = reduce(Dashboard(), envelope(status))
    assert "💾=12 ⏮=8(2/3)" in draw.workers(state, START, 79)[1].plain


def test_what_an_algorithm_measures_is_shown_whatever_it_is():
    rolling = {"policy_loss": RollingMean(0.5, 3), "entropy": RollingMean(1.25, 3)}
    state = reduce(
        Dashboard(),
        envelope(Metrics(step=1, snapshot=MetricSnapshot({}, {"epsilon": 0.5}, rolling, {}))),
    )
    text = draw.learner(state, START, 200).plain
    assert "entropy 1.25  policy loss 0.5" in text
    assert "epsilon" not in text


def test_where_the_time_goes_is_the_mean_over_workers():
    assert draw.learner(Dashboard(), START, 200).plain.endswith("time  -")
    text = draw.learner(state_after(3, workers=3), START, 200).plain
    assert text.endswith("time  env 42%  inference 20%  learning 27%  waiting 1%  other 10%")


@pytest.mark.parametrize("value", [-0.1, 7.0, math.inf, math.nan])
def test_shares_of_time_that_are_none_are_not_shown(value):
    shares = {"time_env": 0.5, "time_inference": 0.1, "time_learning": 0.1, "time_waiting": value}
    snapshot = MetricSnapshot({}, shares, {}, {})
    state = reduce(Dashboard(), envelope(Metrics(step=1, snapshot=snapshot)))
    assert draw.time_shares(state) == {}


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
    status = state.workers["worker_0"].status
    assert (state.step, state.total_steps, state.phase) == (200, 500, "stopped")
    assert (status.steps, status.deaths, status.best_x) == (200, 7, 800)
    assert state.learner.updates == 50
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
    assert state.step == state.workers["worker_0"].status.steps == 5000
    assert len(state.curves["reward"].points) > 100


def test_the_state_of_a_run_is_cheap_to_keep():
    """No time is measured here: only that no event copies what grows with the run."""
    state = replace(state_after(3, 16))
    for second in range(4, 300):
        state = fold(reduce, second_of(16, second), state)
    assert len(state.curves["loss"].points) <= MAX_POINTS
    assert state.step == metrics(15, 299).step


def ppo_metrics() -> Metrics:
    rolling = {
        name: RollingMean(0.125, 9)
        for name in ("loss", "policy_loss", "value_loss", "entropy", "approx_kl", "clip_fraction")
    }
    return Metrics(step=1, snapshot=MetricSnapshot({}, {"explained_variance": 0.75}, rolling, {}))


def test_of_ppo_the_smallest_screen_says_what_matters():
    state = fold(
        reduce,
        [
            envelope(ppo_metrics()),
            envelope(replace_status(worker_status(0, 5), epsilon=math.nan)),
            envelope(learner_status(5), COORDINATOR),
        ],
        Dashboard(),
    )
    text = draw.learner(state, START, 80).plain
    assert all(len(line) <= 80 for line in text.split("\n"))
    for words in (
        *("loss 0.125", "entropy 0.125", "approx kl 0.125", "clipped 0.125", "explained 0.75"),
        *("policy loss 0.125", "value loss 0.125", "grad norm 1.25"),
    ):
        assert words in text
    head, rows = draw.workers(state, START, 79)
    assert " entr " in head.plain
    assert "ε" not in head.plain
    assert rows.plain.split()[6] == "0.12", rows.plain


def replace_status(status: WorkerStatus, **changes: object) -> WorkerStatus:
    return msgspec.structs.replace(status, **changes)


def test_what_a_worker_reached_outlives_its_process():
    state = reduce(Dashboard(), envelope(replace_status(worker_status(0, 5), best_x=900.0)))
    state = reduce(state, envelope(replace_status(worker_status(0, 5), best_x=300.0), generation=1))
    assert state.workers["worker_0"].best_x == 900.0
    assert begin_again(state).workers["worker_0"].best_x == 900.0


def test_the_time_that_is_left_is_that_of_what_ends_first():
    state = replace(state_after(40, 1), step=2_000, total_steps=100_000)
    assert "32:40 left" in draw.header(state, "running", START, 80).plain
    limited = replace(state, deadline=START + 75)
    assert "1:15 left" in draw.header(limited, "running", START, 80).plain
    assert "0:00 left" in draw.header(limited, "running", START + 99, 80).plain


REPLACED = MemberPulse(source="worker_0", pid=9, age=0.1, restarts=2)


@pytest.mark.parametrize("saves", [0, 99, 4_888, 123_456, 10**9])
def test_saves_and_restores_fit_their_column(saves):
    status = replace_status(worker_status(0, 5), saves=saves, restores=saves, stuck=2, max_stuck=3)
    state = reduce(Dashboard(), envelope(status))
    _, rows = draw.workers(state, START, 79)
    assert rows.cell_len <= 79
    assert rows.plain.endswith("(2/3)")
    assert "…" not in rows.plain
    state = reduce(state, envelope(pulses(1, 5, worker_0=REPLACED), MAIN, 5))
    _, rows = draw.workers(state, START, 79)
    assert rows.cell_len <= 79
    assert rows.plain.endswith(" ↻2")
    assert "…" not in rows.plain
