"""A run that is to be trained and measured: what it is, and its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from mario_agents.presets import Preset, label_of
from mario_agents.run import RunDir

Weights = Literal["best", "latest"]


class Cell(Struct, frozen=True):
    """One run.

    Attributes:
        name: of its directories.
        preset: ``trainer/name``, or a trainer alone for its defaults.
        trainer: by name.
        level: what is played.
        seed: of the run.
        snapshots: whether it practises from snapshots; None if the trainer has no such option.
        options: all options of the trainer, as plain values.
    """

    name: str
    preset: str
    trainer: str
    level: str
    seed: int
    snapshots: bool | None
    options: dict[str, Any]


class Budget(Struct, frozen=True):
    """How long each run is trained.

    Attributes:
        minutes: of training, or None.
        steps: agent steps, or None for what the preset says.
    """

    minutes: Annotated[float, Meta(gt=0)] | None = None
    steps: Annotated[int, Meta(ge=1)] | None = None

    @property
    def by_time(self) -> bool:
        """Whether it is one of wall-clock time; then curves go over seconds."""
        return self.minutes is not None

    def horizon(self, options: Mapping[str, Any]) -> float:
        """That of a run with these options: seconds if it is one of time, else agent steps."""
        if self.minutes is not None:
            return 60 * self.minutes
        return float(options.get("total_steps", 0))

    def __str__(self) -> str:
        minutes = [] if self.minutes is None else [f"{self.minutes:g} minutes"]
        steps = [] if self.steps is None else [f"{self.steps:,} agent steps"]
        return " or ".join([*minutes, *steps]) + " each"


@dataclass(frozen=True, slots=True)
class Measuring:
    """What is done with a run after training: ``mario-agents eval``.

    Attributes:
        weights: which weights play; none leaves it out.
        episodes: for each condition of the standard.
    """

    weights: tuple[Weights, ...]
    episodes: int


def make_cell(name: str, preset: Preset, options: dict[str, Any]) -> Cell:
    """A cell with options of :func:`~mario_agents.experiments.options.run_options`."""
    level, seed = str(options.get("level", "")), int(options.get("seed", 0))
    snapshots = options.get("snapshots")
    return Cell(name, label_of(preset), preset.trainer, level, seed, snapshots, options)


@dataclass(frozen=True, slots=True)
class CellFiles:
    """Files of one cell.

    Attributes:
        home: what is written about it.
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
