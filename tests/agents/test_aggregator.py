"""Metrics of many processes as one, against sums kept by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mario_agents.telemetry import Across, MetricAggregator, MetricDef, MetricKind, MetricLogger
from mario_agents.telemetry.schema import counter, gauge, rolling

DEFS = [
    counter("deaths", "lives"),
    gauge("epsilon", "chance"),
    gauge("best_x", "pixels", Across.MAX),
    gauge("speed", "steps/s", Across.SUM),
    rolling("reward", "return", window=3),
    rolling("q_max", "value", window=3, across=Across.MAX),
]


def snapshot(**tracked):
    logger = MetricLogger(DEFS)
    for name, values in tracked.items():
        for value in values if isinstance(values, list) else [values]:
            logger.track(name, value)
    return logger.publish(0)


def test_each_kind_is_combined_in_its_way():
    aggregator = MetricAggregator(DEFS)
    aggregator.update(
        *("worker_0", 0, 10),
        snapshot(
            deaths=3, epsilon=0.1, best_x=300, speed=50, reward=[1, 2, 3, 4], q_max=[5.0, 7.0]
        ),
    )
    aggregator.update(
        *("worker_1", 0, 12),
        snapshot(deaths=4, epsilon=0.5, best_x=200, speed=70, reward=[9], q_max=[8.0]),
    )
    aggregator.update("worker_2", 0, 0, snapshot())
    combined = aggregator.combined()
    assert combined == {
        "deaths": 7,
        "epsilon": pytest.approx(0.3),
        "best_x": 300,
        "speed": 120,
        "reward": pytest.approx((2 + 3 + 4 + 9) / 4),
        "q_max": 8,
    }
    assert aggregator.values("worker_0")["reward"] == 3
    assert math.isnan(aggregator.values("worker_2")["reward"])
    assert aggregator.step("worker_1") == 12


def test_nothing_heard_is_nothing_known():
    aggregator = MetricAggregator(DEFS)
    combined = aggregator.combined()
    assert combined.pop("deaths") == 0
    assert all(math.isnan(value) for value in combined.values())
    with pytest.raises(KeyError):
        aggregator.values("worker_0")
    assert aggregator.sources == ()


def test_workers_are_in_the_order_of_their_numbers():
    aggregator = MetricAggregator(DEFS)
    for name in ("worker_10", "coordinator", "worker_9"):
        aggregator.update(name, 0, 0, snapshot())
    assert aggregator.sources == ("coordinator", "worker_9", "worker_10")


@pytest.mark.parametrize("known", [None, "latest", "older"])
def test_counters_go_on_after_a_restart(known):
    """Whatever total the new process begins with: none, the right one, or one from a file."""
    aggregator = MetricAggregator(DEFS)
    aggregator.update("worker_0", 0, 1, snapshot(deaths=10, speed=99))
    late = snapshot(deaths=11)
    logger = MetricLogger(DEFS)
    if known == "latest":
        logger.start_from(aggregator.values("worker_0"))
    elif known == "older":
        logger.start_from({"deaths": 6, "unknown": 3})
    logger.track("deaths", 2)
    assert aggregator.update("worker_0", 1, 2, logger.publish(2))
    assert aggregator.combined()["deaths"] == aggregator.values("worker_0")["deaths"] == 12
    assert not aggregator.update("worker_0", 0, 3, late)
    logger.track("deaths")
    aggregator.update("worker_0", 1, 4, logger.publish(4))
    assert aggregator.values("worker_0")["deaths"] == 13
    assert math.isnan(aggregator.combined()["speed"])


def test_a_retired_process_keeps_only_its_counts():
    aggregator = MetricAggregator(DEFS)
    aggregator.update("worker_0", 0, 1, snapshot(deaths=1, speed=10, reward=[1]))
    aggregator.update("worker_1", 0, 1, snapshot(deaths=1, speed=20, reward=[3]))
    aggregator.retire("worker_0")
    aggregator.retire("worker_7")
    combined = aggregator.combined()
    assert (combined["deaths"], combined["speed"], combined["reward"]) == (2, 20, 3)
    aggregator.update("worker_0", 1, 2, snapshot(speed=5))
    assert aggregator.combined()["speed"] == 25


def test_metrics_without_a_definition_are_left_out():
    aggregator = MetricAggregator(DEFS[:1])
    aggregator.update("worker_0", 0, 1, snapshot(deaths=1, epsilon=0.5))
    assert aggregator.combined() == aggregator.values("worker_0") == {"deaths": 1}
    with pytest.raises(ValueError, match="cannot be summed"):
        MetricDef("x", MetricKind.ROLLING, "x", across=Across.SUM)


Deed = st.tuples(st.integers(0, 2), st.sampled_from(["track", "report", "restart", "resume"]))


@given(st.lists(Deed, max_size=60))
def test_totals_never_go_back_and_end_at_what_was_reported(deeds):
    """A restart loses what was not reported; everything else is counted exactly once."""
    aggregator = MetricAggregator(DEFS)
    loggers = [MetricLogger(DEFS) for _ in range(3)]
    generation, reported, unreported = [0] * 3, [0] * 3, [0] * 3
    before = 0.0
    for number, deed in deeds:
        name = f"worker_{number}"
        if deed == "track":
            loggers[number].track("deaths")
            unreported[number] += 1
        elif deed == "report":
            aggregator.update(name, generation[number], 0, loggers[number].publish(0))
            reported[number] += unreported[number]
            unreported[number] = 0
        else:
            loggers[number] = MetricLogger(DEFS)
            generation[number] += 1
            unreported[number] = 0
            if deed == "resume":
                known = name in aggregator.sources
                loggers[number].start_from(aggregator.values(name) if known else {})
        now = aggregator.combined()["deaths"]
        assert now == sum(reported) >= before
        before = now
