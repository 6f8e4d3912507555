"""How good a trial is, against values worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from mario_agents.experiments.cell import Budget, Cell
from mario_agents.experiments.cell_result import CellResult, Success
from mario_agents.experiments.measures import Point
from mario_agents.sweep.objective import SLOTS, objective_of, so_far

CELL = Cell("trial-000", "toy/quick", "toy", "1-1", 0, True, {"total_steps": 1000})
STEPS, MINUTES = Budget(steps=1000), Budget(minutes=1.0)
POINTS = (
    Point(200, plain=0.5, sticky=0.0, seconds=12.0),
    Point(500, plain=1.0, sticky=0.5, seconds=30.0),
)


def result(**changes: Any) -> CellResult:
    return CellResult(name=CELL.name, status="finished", **changes)


@pytest.mark.parametrize("budget", [STEPS, MINUTES])
def test_area(budget: Budget) -> None:
    # 0.25 for 3/10 of the budget, 0.75 for half of it
    value = objective_of(result(points=POINTS), CELL, budget, "area")
    assert value == pytest.approx(0.25 * 0.3 + 0.75 * 0.5)
    assert objective_of(result(), CELL, budget, "area") is None


def test_success_at_the_end() -> None:
    standard = {"best": {"greedy-plain": Success(10, 10), "greedy-sticky": Success(2, 10)}}
    assert objective_of(result(standard=standard), CELL, STEPS, "final") == pytest.approx(0.6)
    assert objective_of(result(points=POINTS), CELL, STEPS, "final") is None


@pytest.mark.parametrize("budget", [STEPS, MINUTES])
def test_so_far(budget: Budget) -> None:
    found = so_far(POINTS, CELL, budget, "area")
    # An evaluation of later weights is known at half of the budget, not of any later ones.
    assert list(found) == list(range(1, SLOTS // 2 + 1))
    assert found[3] == 0.0
    assert found[6] == pytest.approx(0.25 * 2 / 6)
    assert found[10] == pytest.approx(0.25 * 6 / 10)
    held = so_far(POINTS, CELL, budget, "final")
    assert [held[slot] for slot in (3, 4, 9, 10)] == [0.0, 0.25, 0.25, 0.75]
    assert so_far((), CELL, budget, "area") == {}
    late = (*POINTS, Point(1100, plain=1.0, sticky=1.0, seconds=66.0))
    whole = so_far(late, CELL, budget, "area")
    assert len(whole) == SLOTS
    # What has been told of a whole run is its objective.
    assert whole[SLOTS] == pytest.approx(objective_of(result(points=late), CELL, budget, "area"))


def test_evaluations_that_do_not_say_when_they_were() -> None:
    bare = (Point(200, plain=1.0, sticky=1.0),)
    assert so_far(bare, CELL, MINUTES, "area") == {}
    assert objective_of(result(points=bare), CELL, MINUTES, "area") is None
    assert so_far(bare, CELL, STEPS, "area")
