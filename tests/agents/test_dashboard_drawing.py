"""Numbers and pictures of a dashboard, without a terminal."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import reduce as fold

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mario_agents.algos.dqn.metrics import METRICS as DDQN
from mario_agents.algos.ppo.metrics import METRICS as PPO
from mario_agents.monitor import draw, draw_learner
from mario_agents.monitor.state import (
    Dashboard,
    reduce,
)
from mario_agents.telemetry import MetricSnapshot, RollingMean, RunMetrics
from mario_agents.telemetry.events import (
    COORDINATOR,
    MAIN,
    Metrics,
    ProcessHeartbeat,
)
from tests.agents.dashboards import (
    METRICS,
    REPLACED,
    START,
    envelope,
    heartbeats,
    learner_metrics,
    learner_status,
    metrics,
    state_after,
    worker_status,
)

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
        # The fewest digits are one: 0.0625 is 0.1 where there is room for no more.
        rel, absolute = (0.006, 1e-9) if room >= 7 else (0.5, 0.05)
        assert number == pytest.approx(value, rel=rel, abs=absolute)


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


def told(*events, **options) -> Dashboard:
    """What a dashboard of a ddqn run knows after these events of worker 0."""
    return fold(reduce, map(envelope, events), Dashboard(metrics=METRICS, **options))


def test_saves_and_restores_are_shown_as_people_know_them():
    state = told(metrics(0, 1, saves=12, restores=8, stuck=2), worker_status(0, 1))
    assert "💾=12 ⏮=8(2/3)" in draw.workers(state, START, 79)[1].plain


def test_what_nobody_has_defined_is_shown_too():
    rolling = {"policy_loss": RollingMean(0.5, 3), "surprise": RollingMean(1.25, 3)}
    state = told(Metrics(step=1, snapshot=MetricSnapshot({}, {"doubt": 0.25}, rolling, {})))
    text = draw_learner.learner(state, START, 200).plain
    assert "policy loss 0.5  surprise 1.25  doubt 0.25" in text


def test_a_learner_that_workers_feed_is_shown_with_what_it_measures_for_them():
    measured = MetricSnapshot(
        {"updates": 40, "inserted": 900},
        {"lr": 2.5e-4, "updates_per_second": 40.0, "samples_per_insert": 7.5, "waiting": 0.25},
        {"lag": RollingMean(12.0, 9), "loss": RollingMean(0.75, 9)},
        {},
    )
    state = fold(
        reduce,
        [
            envelope(Metrics(step=9, snapshot=MetricSnapshot({}, {"epsilon": 0.5}, {}, {}))),
            envelope(Metrics(step=9, snapshot=measured), COORDINATOR),
            envelope(learner_status(5), COORDINATOR),
        ],
        Dashboard(metrics=RunMetrics.of(DDQN, central=True)),
    )
    text = draw_learner.learner(state, START, 120).plain
    assert "lag 12  samples/insert 7.5  waiting 0.25" in text
    assert "loss 0.75" in text
    assert "ε 0.5" in text


def test_where_there_is_room_each_panel_has_a_line():
    lines = draw_learner.learner(state_after(3, 2), START, 80, panels=9).plain.split("\n")
    assert [line.split("  ")[0] for line in lines[1:-2]] == [
        *("Loss", "Q", "TD error", "Exploration", "Gradient norm"),
    ]
    assert lines[2].split() == ["Q", "q", "mean", "0.3", "q", "max", "0.9"]
    assert len(draw_learner.learner(state_after(3, 2), START, 80, panels=2).plain.split("\n")) == 5


def test_where_the_time_goes_is_the_mean_over_workers():
    assert draw_learner.learner(Dashboard(), START, 200).plain.endswith("time  -")
    text = draw_learner.learner(state_after(3, workers=3), START, 200).plain
    assert text.endswith("time  env 42%  inference 20%  learning 27%  waiting 1%  other 10%")


@pytest.mark.parametrize("value", [-0.1, 7.0, math.inf, math.nan])
def test_shares_of_time_that_are_none_are_not_shown(value):
    shares = {"time_env": 0.5, "time_inference": 0.1, "time_learning": 0.1, "time_waiting": value}
    snapshot = MetricSnapshot({}, shares, {}, {})
    state = reduce(Dashboard(), envelope(Metrics(step=1, snapshot=snapshot)))
    assert draw_learner.time_shares(state) == {}


def test_of_ppo_the_smallest_screen_says_what_matters():
    rolling = {metric.name: RollingMean(0.125, 9) for metric in PPO}
    measured = MetricSnapshot({}, {}, rolling, {})
    state = fold(
        reduce,
        [
            envelope(Metrics(step=1, snapshot=measured)),
            envelope(worker_status(0, 5)),
            envelope(learner_metrics(5), COORDINATOR),
            envelope(learner_status(5), COORDINATOR),
        ],
        Dashboard(metrics=RunMetrics.of(PPO)),
    )
    text = draw_learner.learner(state, START, 80).plain
    assert all(len(line) <= 80 for line in text.split("\n"))
    for words in (
        *("loss 0.125", "entropy 0.125", "approx kl 0.125", "clipped 0.125", "explained 0.125"),
        *("policy loss 0.125", "value loss 0.125", "grad norm 1.25"),
    ):
        assert words in text
    head, rows = draw.workers(state, START, 79)
    assert " entr " in head.plain
    assert "ε" not in head.plain
    assert rows.plain.split()[6] == "0.12", rows.plain


def test_the_time_that_is_left_is_that_of_what_ends_first():
    state = replace(state_after(40, 1), step=2_000, total_steps=100_000)
    assert "32:40 left" in draw.header(state, "running", START, 80).plain
    limited = replace(state, deadline=START + 75)
    assert "1:15 left" in draw.header(limited, "running", START, 80).plain
    assert "0:00 left" in draw.header(limited, "running", START + 99, 80).plain


@pytest.mark.parametrize("saves", [0, 99, 4_888, 123_456, 10**9])
def test_saves_and_restores_fit_their_column(saves):
    state = told(metrics(0, 5, saves=saves, restores=saves, stuck=2), worker_status(0, 5))
    _, rows = draw.workers(state, START, 79)
    assert rows.cell_len <= 79
    assert rows.plain.endswith("(2/3)")
    assert "…" not in rows.plain
    state = reduce(state, envelope(heartbeats(1, 5, worker_0=REPLACED), MAIN, 5))
    _, rows = draw.workers(state, START, 79)
    assert rows.cell_len <= 79
    assert rows.plain.endswith(" ↻2")
    assert "…" not in rows.plain


def test_the_table_says_where_workers_are_if_there_are_several_machines():
    state = state_after(5, 2)
    head, _ = draw.workers(state, 5, 120)
    assert "node" not in head.plain
    nodes = {
        "worker_0": "10.0.0.1",
        "worker_1": "the-name-of-a-machine/ab\x1b",
        COORDINATOR: "ten",
    }
    told = {
        source: ProcessHeartbeat(source=source, pid=1, age=0.1, restarts=0, node=node)
        for source, node in nodes.items()
    }
    state = reduce(state, envelope(heartbeats(2, 5, **told), MAIN, 5))
    head, rows = draw.workers(state, 5, 120)
    assert "node" in head.plain
    first, second = rows.plain.splitlines()
    assert "       10.0.0.1 " in first
    assert "machine/ab" in second
    assert "\x1b" not in second
    assert "on ten" in draw_learner.learner(state, 5, 120).plain
