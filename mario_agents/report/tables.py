"""Reads metrics files as columns of numbers, and makes curves of them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Table:
    """A metrics file.

    Attributes:
        columns: ``(rows,)`` float64 by name, NaN where the file says nothing; ``step`` rises.
        damaged: lines that were left out because they are not rows of this file.
    """

    columns: dict[str, Column]
    damaged: int = 0

    def __len__(self) -> int:
        return len(self.columns["step"])

    def last(self, name: str) -> float:
        """The last number of a column; NaN if there is none."""
        values = self.columns.get(name, np.empty(0))
        values = values[~np.isnan(values)]
        return float(values[-1]) if values.size else float("nan")


@dataclass(frozen=True, eq=False)
class Curve:
    """A quantity over agent steps: ``steps`` and ``values``, both ``(points,)``, without NaN."""

    steps: Column
    values: Column

    def __len__(self) -> int:
        return len(self.steps)


def read_table(path: Path) -> Table:
    """Read a metrics file as far as it is whole: the last line of a run that was killed may not be.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is no metrics file: it has no column ``step``.
    """
    text = path.read_bytes().decode("utf-8", errors="replace").replace("\0", "\ufffd")
    lines = csv.reader(text.splitlines())
    names = next(lines, [])
    if "step" not in names:
        raise ValueError("it has no column 'step'")
    rows: list[list[float]] = []
    damaged = 0
    for line in lines:
        row = _numbers(line, len(names))
        step = row[names.index("step")] if row else float("nan")
        if row is None or not step >= 0:
            damaged += 1
        else:
            rows.append(row)
    # What a resumed run measured again comes later in the file, and wins.
    newest = {row[names.index("step")]: row for row in rows}
    table = np.array([newest[step] for step in sorted(newest)], dtype=np.float64)
    table = table.reshape(len(newest), len(names))
    return Table({name: table[:, i] for i, name in enumerate(names)}, damaged)


def combine(tables: Sequence[Table], name: str, *, total: bool = False) -> Curve:
    """A metric of all workers together: the mean of their latest values at each step.

    Args:
        tables: of the workers.
        name: of the metric; tables without it do not count.
        total: their sum instead of their mean.
    """
    found = [curve for table in tables if len(curve := curve_of(table, name))]
    if not found:
        return Curve(np.empty(0), np.empty(0))
    steps = np.unique(np.concatenate([curve.steps for curve in found]))
    held = np.full((len(found), len(steps)), np.nan)
    for row, curve in zip(held, found, strict=True):
        index = np.searchsorted(curve.steps, steps, side="right") - 1
        row[index >= 0] = curve.values[index[index >= 0]]
    values = np.nansum(held, axis=0) if total else np.nanmean(held, axis=0)
    return Curve(steps, values)


def weighted_mean(tables: Sequence[Table], name: str, weight: str) -> float:
    """The mean of a column over all rows of all tables, weighted by another column of theirs.

    Rows that lack one of the two do not count; NaN if there is no other.
    """
    total = whole = 0.0
    for table in tables:
        if name in table.columns and weight in table.columns:
            values, weights = table.columns[name], table.columns[weight]
            known = np.isfinite(values) & np.isfinite(weights)
            total += float(values[known] @ weights[known])
            whole += float(weights[known].sum())
    return total / whole if whole > 0 else float("nan")


def curve_of(table: Table, name: str) -> Curve:
    """A column without the rows that do not give it."""
    values = table.columns.get(name)
    if values is None:
        return Curve(np.empty(0), np.empty(0))
    known = np.isfinite(values)
    return Curve(table.columns["step"][known], values[known])


def mean_and_spread(curves: Sequence[Curve], points: int = 200) -> Mapping[str, Column]:
    """Several runs of one configuration as one curve, over the steps that all of them have.

    Returns:
        ``steps``, ``mean``, ``low`` and ``high``, all ``(points,)``: the mean and, below and above
        it, a standard deviation over the runs (0 for one run).

    Raises:
        ValueError: if they have no steps in common.
    """
    begin = max(curve.steps[0] for curve in curves)
    end = min(curve.steps[-1] for curve in curves)
    if end < begin:
        raise ValueError("the curves have no steps in common")
    steps = np.linspace(begin, end, points)
    values = np.stack([np.interp(steps, curve.steps, curve.values) for curve in curves])
    mean = values.mean(axis=0)
    spread = values.std(axis=0, ddof=1) if len(curves) > 1 else np.zeros(points)
    return {"steps": steps, "mean": mean, "low": mean - spread, "high": mean + spread}


def _numbers(line: Sequence[str], width: int) -> list[float] | None:
    if len(line) != width:
        return None
    try:
        return [float(word) if word else float("nan") for word in line]
    except ValueError:
        return None
