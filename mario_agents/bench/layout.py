"""Paths of the files of a bench."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mario_agents.experiments.cell import CellFiles


@dataclass(frozen=True, slots=True)
class BenchLayout:
    """The directory of a bench."""

    path: Path

    @property
    def plan(self) -> Path:
        """What is to be done."""
        return self.path / "plan.json"

    @property
    def lock(self) -> Path:
        """Held by the bench that runs here."""
        return self.path / "bench.lock"

    @property
    def runs(self) -> Path:
        """All run directories."""
        return self.path / "runs"

    def cell(self, name: str) -> CellFiles:
        """Files of the cell of this name."""
        return CellFiles(self.path / "cells" / name, self.runs / name)

    def out(self, name: str) -> Path:
        """A file that a person is to look at."""
        return self.path / name
