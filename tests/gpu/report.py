"""The table and the JSON file of a call."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.table import Table

from mario_agents.experiments.machine import machine_text
from tests.gpu.host import ROOT, Result
from tests.gpu.job import Check
from tests.gpu.plan import Machine

STYLES = {"ok": "green", "failed": "bold red", "hung": "bold red", "not run": "yellow"}


class Report:
    """What came of the checks so far; all that are to be made are in the file from the beginning.

    Args:
        path: the JSON file, written anew with each result.
        checks: that are to be made.
        machine: where.
        begin: of the command, as by ``time.monotonic()``.
        minutes: its limit.

    Attributes:
        results: so far.
    """

    def __init__(
        self, path: Path, checks: Sequence[Check], machine: Machine, begin: float, minutes: float
    ) -> None:
        self.results: list[Result] = []
        self._path, self._machine, self._begin = path, machine, begin
        self._document: dict[str, Any] = {
            "machine": machine_text(),
            "device": machine.device,
            "commit": _commit(),
            "torch": torch.__version__,
            "cuda": torch.version.cuda,
            "minutes": minutes,
            "checks": {
                check.name: {"status": "not run", "said": "the command has not come to it"}
                for check in checks
            },
        }
        self._write()

    def add(self, result: Result) -> None:
        """Take in a result."""
        self.results.append(result)
        check = result.check
        self._document["checks"][check.name] = {
            "status": result.status,
            "seconds": round(result.seconds, 1),
            "budget": check.seconds,
            "at_once": self._machine.slots(check.cores),
            "said": result.said,
            "figures": result.figures,
            **({"log": result.log} if result.log else {}),
        }
        self._write()

    def table(self) -> Table:
        """Everything in a table."""
        table = Table(box=None, padding=(0, 1))
        for column in ("check", "", "seconds", "found"):
            table.add_column(
                column, overflow="fold", justify="right" if column == "seconds" else "left"
            )
        for result in self.results:
            status = f"[{STYLES[result.status]}]{result.status}"
            table.add_row(result.check.name, status, f"{result.seconds:.0f}", result.said)
        return table

    def _write(self) -> None:
        self._document["seconds"] = round(time.monotonic() - self._begin, 1)
        part = self._path.with_suffix(".part")
        part.write_text(json.dumps(self._document, indent=2) + "\n")
        part.replace(self._path)


def _commit() -> str:
    words = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
