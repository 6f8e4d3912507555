"""Everything that a bench has measured so far, as files and as a text."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from io import StringIO

import msgspec
from msgspec import Struct

from mario_agents.bench.figure import draw_bench
from mario_agents.bench.layout import BenchLayout
from mario_agents.bench.plan import BenchPlan
from mario_agents.bench.rows import Difference, Row, differences, rows_of
from mario_agents.bench.table import as_text, snapshots_text
from mario_agents.experiments.cell_result import CellResult, gather, read_result, write_json
from mario_envkit.errors import OptionError
from mario_envkit.files import replace_text


class BenchResults(Struct, frozen=True):
    """What all cells of a bench have measured so far; the content of ``results.json``."""

    minutes: float | None
    steps: int | None
    episodes: int
    machine: str
    rows: list[Row]
    differences: list[Difference]
    cells: dict[str, CellResult]

    @property
    def failed(self) -> int:
        """Cells that failed."""
        return sum(result.status == "failed" for result in self.cells.values())


def results_of(plan: BenchPlan, layout: BenchLayout) -> BenchResults:
    """What is known by now; cells that are not finished are among them.

    Raises:
        RunError: if a file is damaged.
    """
    cells = {}
    for cell in plan.cells:
        files = layout.cell(cell.name)
        cells[cell.name] = read_result(files) or gather(cell, files, status="unfinished")
    rows = rows_of(plan, cells)
    return BenchResults(
        plan.minutes, plan.steps, plan.episodes, plan.machine, rows, differences(rows), cells
    )


def publish(plan: BenchPlan, layout: BenchLayout, results: BenchResults) -> str:
    """Write ``table.md``, ``results.json``, ``results.csv`` and the curves; returns the table.

    Raises:
        OptionError: if they cannot be written.
    """
    text = as_text(plan, results.rows, results.differences)
    try:
        replace_text(layout.out("table.md"), text)
        write_json(layout.out("results.json"), results)
        replace_text(layout.out("results.csv"), as_csv(results.rows))
    except OSError as error:
        raise OptionError(
            f"The results cannot be saved in {layout.path}: {error.strerror}."
        ) from error
    draw_bench(plan, results.cells, layout.path)
    return text


def as_csv(rows: Sequence[Row]) -> str:
    """A line for each run, its numbers under names such as ``first.step``."""
    lines = [
        {"preset": row.preset, "level": row.level, "snapshots": snapshots_text(row.snapshots)}
        | flat(msgspec.to_builtins(numbers))
        for row in rows
        for numbers in row.seeds
    ]
    names = list(dict.fromkeys(name for line in lines for name in line))
    text = StringIO()
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def flat(values: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Nested mappings as one, the names joined by dots; what is None is left out."""
    found: dict[str, object] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        elif value is not None:
            found[f"{prefix}{name}"] = value
    return found
