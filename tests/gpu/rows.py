"""How fast a run was, from the rows that it left."""

from __future__ import annotations

import csv

from mario_agents.run import RunDir


def speeds(run: RunDir) -> dict[str, float]:
    """Agent steps and updates for each second between its first row with an update and its last;
    empty if there are no two such rows."""
    with run.csv_path("coordinator").open() as file:
        rows = [row for row in csv.DictReader(file) if int(row["updates"] or 0) > 0]
    if len(rows) < 2:
        return {}
    first, last = rows[0], rows[-1]
    seconds = float(last["time"]) - float(first["time"])
    if seconds <= 0:
        return {}
    counts = {"steps/s": "step", "updates/s": "updates"}
    return {
        name: round((int(last[column]) - int(first[column])) / seconds, 1)
        for name, column in counts.items()
    }


def speed_text(found: dict[str, float]) -> str:
    """The figures in words."""
    return ", ".join(f"{value:,.0f} {name}" for name, value in found.items())
