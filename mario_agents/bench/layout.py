"""Paths of the files of a bench."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mario_agents.run import RunDir


@dataclass(frozen=True, slots=True)
class CellFiles:
    """Files of one cell.

    Attributes:
        home: what the bench writes about it.
        run: the run directory, as ``mario-agents train`` makes it.
    """

    home: Path
    run: Path

    @property
    def options(self) -> Path:
        """What the trainer is told."""
        return self.home / "options.json"

    @property
    def log(self) -> Path:
        """What its processes print."""
        return self.home / "output.log"

    @property
    def trained(self) -> Path:
        """There as soon as training has ended well."""
        return self.home / "trained.json"

    @property
    def result(self) -> Path:
        """There as soon as nothing is left to do."""
        return self.home / "result.json"

    def standard(self, weights: str) -> Path:
        """What ``mario-agents eval`` found."""
        return self.home / f"standard-{weights}.json"

    @property
    def run_files(self) -> RunDir:
        """Names of the files in the run directory."""
        return RunDir(self.run, "", "", {})


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
