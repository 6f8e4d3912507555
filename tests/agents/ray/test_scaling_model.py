"""The simulation of many workers where it can be reckoned: no queues, and full ones."""

from __future__ import annotations

import pytest

pytest.importorskip("simpy")

from tests.benchmarks.ray_engine.model import Run, Times

EXPERIENCE = Times(
    shares="experience", synchronous=False, round=0.05, handling=0.002, update=0.01, updates=2.0,
    pull=0.001, beside=0.004, bytes=100_000, slots=4,
)  # fmt: skip
GRADIENTS = EXPERIENCE._replace(shares="gradients", updates=1.0)


@pytest.mark.parametrize("times", [EXPERIENCE, GRADIENTS])
def test_a_worker_alone_waits_for_nobody(times: Times) -> None:
    found = Run(times, 1).result()
    assert found.packets == pytest.approx(1 / (times.round + times.pull), rel=0.1)
    assert found.waits == pytest.approx(0, abs=0.01)
    assert 0 < found.learner < 1


def test_a_learner_of_steps_is_full_when_its_time_is() -> None:
    """Then more workers only wait longer, with older weights."""
    most = 1 / (EXPERIENCE.handling + EXPERIENCE.updates * EXPERIENCE.update)
    few, many = (Run(EXPERIENCE, workers).result() for workers in (16, 64))
    for found in (few, many):
        assert found.packets == pytest.approx(most, rel=0.05)
        assert found.learner == pytest.approx(1, abs=0.01)
    assert many.waits > few.waits > 0.5
    assert many.lag > 2 * few.lag


def test_a_learner_of_gradients_makes_one_update_of_the_packets_of_many() -> None:
    found = Run(GRADIENTS, 64).result()
    # 64 packets and one update at a time.
    most = 64 / (64 * GRADIENTS.handling + GRADIENTS.update)
    assert found.packets == pytest.approx(most, rel=0.1)


def test_synchronous_workers_wait_for_the_slowest_and_for_the_update() -> None:
    times = GRADIENTS._replace(synchronous=True)
    found = Run(times, 8).result()
    alone = times.round + times.pull + 8 * times.handling + times.update
    # The slowest of eight is a standard deviation and a half behind, a quarter of the mean each.
    assert 8 / (1.6 * alone) < found.packets < 8 / (1.1 * alone)
    assert found.lag == 0
    assert found.waits > 0.2


def test_on_few_cores_everybody_has_less() -> None:
    """Two workers and a learner, and Ray beside them, on two cores that are always busy."""
    found = Run(EXPERIENCE, 8, cores=2).result()
    each = EXPERIENCE.round + EXPERIENCE.handling + EXPERIENCE.beside
    each += EXPERIENCE.updates * EXPERIENCE.update
    assert found.packets == pytest.approx(2 / each, rel=0.15)


def test_a_simulation_can_be_repeated() -> None:
    assert Run(GRADIENTS, 4, seed=3).result() == Run(GRADIENTS, 4, seed=3).result()
    assert Run(GRADIENTS, 4, seed=3).result() != Run(GRADIENTS, 4, seed=4).result()
