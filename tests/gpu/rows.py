"""How fast a run was, from the rows that it left."""

from __future__ import annotations

import csv

from mario_agents.run import RunDir


def speeds(run: RunDir, *, warm_up: float = 0.0) -> dict[str, float]:
    """Agent steps and updates for each second between two rows of a run; empty if there are none.

    Args:
        run: which.
        warm_up: share of the time from the first row with an update to the last row that is left
            out; from the first row behind it on is measured.
    """
    with run.csv_path("coordinator").open() as file:
        rows = [row for row in csv.DictReader(file) if int(row["updates"] or 0) > 0]
    if len(rows) < 2:
        return {}
    begin, last = float(rows[0]["time"]), rows[-1]
    begin += warm_up * (float(last["time"]) - begin)
    first = next(row for row in rows if float(row["time"]) >= begin)
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
