"""Rows of metrics as a CSV file."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path

from mario_agents.run.storage import GrowingFile
from mario_envkit.files import replace_text


class CsvSink:
    """A CSV file that grows by one line per row, readable at any moment.

    Columns: ``step`` (agent steps), ``time`` (Unix seconds), then the metrics; NaN is left empty.
    """

    def __init__(self, path: Path, names: Sequence[str], *, resume_step: int | None = None) -> None:
        """Start a file, or continue one.

        Args:
            path: the file.
            names: columns.
            resume_step: None starts a new file. Otherwise the rows of an existing one are kept up
                to this agent step: a run that resumes from a checkpoint measures later ones again.
        """
        self._columns = ["step", "time", *names]
        kept = [] if resume_step is None else _rows_until(path, resume_step)
        text = StringIO()
        writer = csv.DictWriter(text, self._columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)
        self._file = GrowingFile(path, text.getvalue().encode())

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Append a row, now or, if the disk refuses, with a later one."""
        row = [str(step), f"{time.time():.3f}"]
        for name in self._columns[2:]:
            value = values.get(name, math.nan)
            row.append("" if math.isnan(value) else f"{value:.9g}")
        self._file.append((",".join(row) + "\n").encode())

    def close(self) -> None:
        """Write what waits.

        Raises:
            RunError: if the disk refuses.
        """
        self._file.close()


def cut_rows(path: Path, step: int) -> None:
    """Remove the rows of a CSV file after agent step ``step``; nothing if there is no such file.

    Raises:
        OSError: if it cannot be read or written.
    """
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    columns = next(csv.reader(lines[:1]), None)
    if columns and len(kept := _rows_until(path, step)) < len(lines) - 1:
        text = StringIO()
        writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)
        replace_text(path, text.getvalue())


def _rows_until(path: Path, step: int) -> list[dict[str, str]]:
    """Whole rows of an earlier file up to ``step``; the last line may have been cut by a crash."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]
    rows = csv.DictReader(whole)
    return [row for row in rows if (row.get("step") or "").isdigit() and int(row["step"]) <= step]
