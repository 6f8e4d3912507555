"""The numbers of a bench: for each variant those of all its seeds, and pairs for the ablation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median

from msgspec import Struct

from mario_agents.bench.plan import BenchPlan
from mario_agents.evaluation.conditions import Condition
from mario_agents.evaluation.intervals import bootstrap_interval
from mario_agents.experiments.cell import Cell
from mario_agents.experiments.cell_result import CellResult, Status
from mario_agents.experiments.measures import (
    RELIABLE,
    Clear,
    area,
    budget_left,
    first_clear,
    last_third,
)

COMPARED: tuple[Condition, ...] = ("greedy-sticky", "sampled-plain")
"""Conditions of the standard that the ablation compares; greedy episodes, nearly one and the same,
are not among them."""


class Numbers(Struct, frozen=True):
    """The numbers of one run; None is what is not known, or has not happened.

    Attributes:
        seed, status, error: of the run.
        evaluations: how many there were while it trained; without any nothing can have happened.
        first: first evaluation in training with any greedy success.
        reliable: first one with at least :data:`~mario_agents.experiments.measures.RELIABLE`.
        budget_left: share of the budget that was left at ``first``; 0 if that never was.
        area: under the curve of success with sticky actions, see
            :func:`~mario_agents.experiments.measures.area`.
        steps, seconds: of training.
        steps_per_second: their ratio.
        late_mean, late_min: see :func:`~mario_agents.experiments.measures.last_third`.
        standard: success rate by weights and condition.
    """

    seed: int
    status: Status
    error: str
    evaluations: int
    first: Clear | None
    reliable: Clear | None
    budget_left: float | None
    area: float | None
    steps: int | None
    seconds: float | None
    steps_per_second: float | None
    late_mean: float | None
    late_min: float | None
    standard: dict[str, dict[str, float]]


class Row(Struct, frozen=True):
    """A variant with all its seeds."""

    preset: str
    level: str
    snapshots: bool | None
    seeds: tuple[Numbers, ...]

    @property
    def finished(self) -> tuple[Numbers, ...]:
        """Those that numbers are made of."""
        return tuple(numbers for numbers in self.seeds if numbers.status == "finished")


class Difference(Struct, frozen=True):
    """Snapshots on minus off, seed by seed.

    Attributes:
        preset, level: of which variant.
        quantity: what is compared.
        by_seed: difference of each seed of which both runs are finished.
        mean, low, high: with its 95 % bootstrap interval.
        better, worse: seeds in which on is above, and below, off.
    """

    preset: str
    level: str
    quantity: str
    by_seed: dict[int, float]
    mean: float
    low: float
    high: float
    better: int
    worse: int


def numbers_of(plan: BenchPlan, cell: Cell, result: CellResult) -> Numbers:
    """The numbers of one run."""
    by_time, horizon = plan.budget.by_time, plan.budget.horizon(cell.options)
    end = result.seconds if by_time else result.steps
    late = None if end is None else last_third(result.points, end, by_time=by_time)
    speed = result.steps / result.seconds if result.steps and result.seconds else None
    return Numbers(
        seed=cell.seed,
        status=result.status,
        error=result.error,
        evaluations=len(result.points),
        first=first_clear(result.points, spawned=result.spawned),
        reliable=first_clear(result.points, share=RELIABLE, spawned=result.spawned),
        budget_left=budget_left(result.points, horizon, by_time=by_time),
        area=area(result.points, horizon, by_time=by_time),
        steps=result.steps,
        seconds=result.seconds,
        steps_per_second=speed,
        late_mean=late[0] if late else None,
        late_min=late[1] if late else None,
        standard={
            weights: {name: success.rate for name, success in conditions.items()}
            for weights, conditions in result.standard.items()
        },
    )


def rows_of(plan: BenchPlan, results: Mapping[str, CellResult]) -> list[Row]:
    """All variants in the order of the plan; every cell has a result, if only "unfinished"."""
    rows: dict[tuple[str, str, bool | None], list[Numbers]] = {}
    for cell in plan.cells:
        numbers = numbers_of(plan, cell, results[cell.name])
        rows.setdefault((cell.preset, cell.level, cell.snapshots), []).append(numbers)
    return [Row(*variant, tuple(seeds)) for variant, seeds in rows.items()]


def median_of(values: Iterable[float | None]) -> float | None:
    """Median of which None is more than any number: something that never happened.

    Returns:
        None if there are no values, or if the middle is None: most runs never got there.
    """
    found = [float("inf") if value is None else value for value in values]
    middle = median(found) if found else float("inf")
    return None if middle == float("inf") else middle


def differences(rows: Sequence[Row]) -> list[Difference]:
    """The paired comparison of every variant that there is with and without snapshots."""
    known = {(row.preset, row.level, row.snapshots): row for row in rows}
    found = []
    for (preset, level, snapshots), on in known.items():
        off = known.get((preset, level, False))
        if not snapshots or off is None:
            continue
        weights = {name for row in (on, off) for n in row.finished for name in n.standard}
        quantities: dict[str, Callable[[Numbers], float | None]] = {
            "budget left at first clear": lambda numbers: numbers.budget_left,
            "area under the curve": lambda numbers: numbers.area,
            **{
                f"{condition}, {name}": _final(name, condition)
                for condition in COMPARED
                for name in sorted(weights)
            },
        }
        for quantity, read in quantities.items():
            by_seed = _by_seed(on, off, read)
            if by_seed:
                found.append(_difference(preset, level, quantity, by_seed))
    return found


def _final(weights: str, condition: Condition) -> Callable[[Numbers], float | None]:
    return lambda numbers: numbers.standard.get(weights, {}).get(condition)


def _by_seed(on: Row, off: Row, read: Callable[[Numbers], float | None]) -> dict[int, float]:
    others = {numbers.seed: read(numbers) for numbers in off.finished}
    pairs = ((numbers.seed, read(numbers), others.get(numbers.seed)) for numbers in on.finished)
    return {seed: a - b for seed, a, b in pairs if a is not None and b is not None}


def _difference(preset: str, level: str, quantity: str, by_seed: dict[int, float]) -> Difference:
    values = [*by_seed.values()]
    low, high = bootstrap_interval(values)
    better, worse = sum(value > 0 for value in values), sum(value < 0 for value in values)
    mean = sum(values) / len(values)
    return Difference(preset, level, quantity, by_seed, mean, low, high, better, worse)
