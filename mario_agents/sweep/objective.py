"""How good a trial is, and how good it is so far.

``area`` is the mean success over the budget, ``final`` the success at the end. The area is the
default. It says how soon something was learned where all trials have learned it by the end, which
is so on easy levels; it is a mean over many evaluations, and so has less luck in it than one; it is
made of what a trial shows while it trains, so that pruning looks at the very thing that is sought;
and it costs no time after training. The final success is what to ask for where a level is hard, the
budget long, and all that counts is where it ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from mario_agents.experiments.cell import Budget, Cell
from mario_agents.experiments.cell_result import CellResult
from mario_agents.experiments.measures import Point, area, has_seconds, place_of

Objective = Literal["area", "final"]
SLOTS = 20
"""Trials are compared while they train after each of so many equal parts of their budgets."""


def objective_of(
    result: CellResult, cell: Cell, budget: Budget, objective: Objective
) -> float | None:
    """What is to be as large as possible, from 0 to 1.

    Returns:
        The area under the curve of success, the mean of that of plain episodes and that of episodes
        with sticky actions; or the mean success of the conditions of the standard, with the
        best weights. None if the run does not tell.
    """
    if objective == "area":
        return _area(result.points, budget.horizon(cell.options), by_time=budget.by_time)
    rates = [success.rate for success in result.standard.get("best", {}).values()]
    return sum(rates) / len(rates) if rates else None


def so_far(
    points: Sequence[Point], cell: Cell, budget: Budget, objective: Objective
) -> dict[int, float]:
    """How good a run is that is still being trained.

    Args:
        points: its evaluations so far.
        cell: of the run.
        budget: of it.
        objective: what is sought.

    Returns:
        By slot, 1 to :data:`SLOTS`: the area over the budget until the end of that slot, or the
        success at its end, plain and sticky together. A slot is known as soon as an evaluation of
        later weights is: earlier ones may still be played.
    """
    horizon, by_time = budget.horizon(cell.options), budget.by_time
    if not points or horizon <= 0 or (by_time and not has_seconds(points)):
        return {}
    last = int(SLOTS * place_of(points[-1], by_time=by_time) / horizon)
    found = {}
    for slot in range(1, min(last, SLOTS) + 1):
        end = slot / SLOTS * horizon
        until = [point for point in points if place_of(point, by_time=by_time) <= end]
        if objective == "final":
            found[slot] = (until[-1].plain + until[-1].sticky) / 2 if until else 0.0
        else:
            found[slot] = _area(until, end, by_time=by_time) or 0.0
    return found


def _area(points: Sequence[Point], horizon: float, *, by_time: bool) -> float | None:
    parts = [area(points, horizon, by_time=by_time, sticky=sticky) for sticky in (False, True)]
    known = [part for part in parts if part is not None]
    return sum(known) / len(known) if known else None
