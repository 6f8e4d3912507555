"""From what a worker does to its metrics."""

from __future__ import annotations

import math

import pytest

from mario_agents.algos.dqn.metrics import METRICS, DDQNCollector
from mario_agents.telemetry import COORDINATOR_METRICS, WORKER_METRICS, MetricLogger
from mario_agents.telemetry.collectors import (
    CompositeCollector,
    CoordinatorCollector,
    MarioCollector,
    SystemCollector,
)
from mario_agents.telemetry.episodes import CollectResult, Death, Episode
from mario_agents.telemetry.rate import Rate
from mario_agents.telemetry.schema import TIME_SHARES, TIME_SPAN

PIT = Death("1-1", 523, "pit", 7)


def episode(**changes):
    fields = dict(
        env=0, level="1-1", reward=30.0, length=20, x_pos=523, best_x=600, flags=0, success=False
    )
    return Episode(**(fields | {"truncated": False} | changes))


def test_returns_and_success_are_those_of_episodes_that_are_shown():
    logger = MetricLogger(WORKER_METRICS)
    collector = MarioCollector(logger)
    collector.on_episode_end(episode(reward=10.0, success=True, flags=1))
    collector.on_episode_end(episode(reward=90.0, best_x=900, flags=1, shown=False))
    values = logger.snapshot()
    assert (values["reward"], values["success"]) == (10.0, 1.0)
    assert (values["flags"], values["best_x"]) == (2, 900)


def test_lives_that_went_on_from_a_snapshot_count_as_what_they_were():
    logger, told = MetricLogger(WORKER_METRICS), []
    collector = MarioCollector(logger, outcomes=lambda *what: told.append(what) or True)
    life = episode(reward=-10.0, length=10, best_x=500)
    collector.on_step(CollectResult(64, first_lives=[life]))
    collector.on_episode_end(episode(success=True, flags=1, shown=False))  # with its help
    collector.on_episode_end(episode(success=True, flags=1))
    collector.flush()
    values = logger.snapshot()
    assert (values["success"], values["reward"], values["episode_length"]) == (0.5, 10.0, 15.0)
    assert values["flags"] == 2
    assert told == [("1-1", 2, 1)]


class Post:
    """Takes deaths, unless it is closed."""

    def __init__(self):
        self.open, self.taken = True, []

    def __call__(self, level, positions, areas):
        if self.open:
            self.taken.append((level, list(positions), list(areas)))
        return self.open


def test_a_worker_in_full():
    logger, post = MetricLogger([*WORKER_METRICS, *METRICS]), Post()
    worker = CompositeCollector(
        [SystemCollector(logger), MarioCollector(logger, post), DDQNCollector(logger)]
    )
    ended = [
        episode(),
        episode(reward=70.0, length=40, best_x=3200, x_pos=3100, flags=1, success=True),
    ]
    gauges = {"epsilon": 0.25, "buffer_size": 64, "unknown": 1.0}
    worker.on_step(CollectResult(64, ended, [PIT], gauges))
    for each in ended:
        worker.on_episode_end(each)
    worker.on_episode_end(episode(best_x=100))
    worker.on_train_step({"loss": 2.0, "q_mean": 1.0, "priority_sum": 3.0})
    worker.on_train_step({"loss": 4.0})
    worker.flush()
    values = logger.snapshot()
    assert values.pop("steps_per_second") > 0
    assert math.isnan(values.pop("q_max"))
    assert math.isnan(values.pop("stuck"))
    assert math.isnan(values.pop("backward"))
    assert math.isnan(values.pop("td_error"))
    assert math.isnan(values.pop("margin_loss"))
    assert math.isnan(values.pop("demo_accuracy"))
    # Only rows measure these.
    assert all(math.isnan(values.pop(share.name)) for share in (TIME_SPAN, *TIME_SHARES))
    assert values == {
        "steps": 64,
        "episodes": 3,
        "train_steps": 2,
        "deaths": 1,
        "flags": 1,
        "best_x": 3200,
        "x_pos": 523,
        "reward": pytest.approx(130 / 3),
        "episode_length": pytest.approx(80 / 3),
        "episode_x": 1300,
        "speed": pytest.approx((30 + 80 + 5) / 3),
        "success": pytest.approx(1 / 3),
        "epsilon": 0.25,
        "buffer_size": 64,
        **{"packets": 0.0, "saves": 0.0, "restores": 0.0},
        "loss": 3.0,
        "q_mean": 1.0,
    }
    assert post.taken == [("1-1", [523], [7])]


def test_deaths_are_passed_on_once_and_kept_while_nobody_takes_them():
    post = Post()
    mario = MarioCollector(MetricLogger(WORKER_METRICS), post)
    post.open = False
    mario.on_step(CollectResult(1, deaths=[PIT, Death("1-2", 40, "enemy")]))
    mario.flush()
    mario.on_step(CollectResult(1, deaths=[PIT]))
    post.open = True
    mario.flush()
    mario.flush()
    assert post.taken == [("1-1", [523, 523], [7, 7]), ("1-2", [40], [-1])]


def test_the_farthest_x_goes_on_after_a_resume():
    first = MetricLogger(WORKER_METRICS)
    MarioCollector(first).on_episode_end(episode(best_x=900))
    second = MetricLogger(WORKER_METRICS)
    second.restore(first.state())
    MarioCollector(second).on_episode_end(episode(best_x=600))
    assert second.value("best_x") == 900


def test_the_coordinator():
    logger = MetricLogger(COORDINATOR_METRICS)
    coordinator = CoordinatorCollector(logger)
    coordinator.on_update({"lr": 0.5, "grad_norm": 2.0, "loss": 1.0})
    coordinator.on_update({"lr": 0.25, "grad_norm": 4.0})
    coordinator.flush()
    values = logger.snapshot()
    assert values.pop("updates_per_second") > 0
    measured = {name: value for name, value in values.items() if not math.isnan(value)}
    assert measured == {"updates": 2, "packets": 0, "stale": 0, "lr": 0.25, "grad_norm": 3.0}


def test_a_rate_is_over_the_last_ten_seconds():
    now = 100.0
    rate = Rate(50, clock=lambda: now)
    assert math.isnan(rate.per_second)
    for second in range(1, 22):
        now = 100.0 + second
        # 5 a second at first, 20 later
        rate.update(50 + 5 * min(second, 10) + 20 * max(second - 10, 0))
    assert rate.per_second == 20
