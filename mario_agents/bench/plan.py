"""What a bench is made of: its runs, their budget, and how they are measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from mario_agents.config import TrainConfig
from mario_agents.experiments.cell import Budget, Cell, Weights
from mario_agents.experiments.place import HERE, Place
from mario_agents.experiments.plan_file import read_plan
from mario_envkit.errors import OptionError

PLAN_VERSION = 1


class BenchPlan(Struct, frozen=True):
    """A whole bench.

    Attributes:
        cells: the runs, in the order in which they begin.
        minutes: of training for each, or None.
        steps: agent steps for each, or None for what the preset says.
        episodes: for each condition of the standard at the end.
        weights: which weights the standard is played with.
        jobs: how many runs train at once.
        machine: where it was begun, in words: wall-clock times are those of this machine.
        place: where the runs are.
        version: of this format.
    """

    cells: tuple[Cell, ...]
    minutes: Annotated[float, Meta(gt=0)] | None = None
    steps: Annotated[int, Meta(ge=1)] | None = None
    episodes: Annotated[int, Meta(ge=1)] = 100
    weights: tuple[Weights, ...] = ("best", "latest")
    jobs: Annotated[int, Meta(ge=1)] = 1
    machine: str = ""
    place: Place = HERE
    version: int = PLAN_VERSION

    @property
    def budget(self) -> Budget:
        """How long each cell is trained."""
        return Budget(self.minutes, self.steps)


def read_bench(path: Path) -> BenchPlan:
    """The plan of a bench.

    Raises:
        RunError: if there is none, or it is damaged.
    """
    return read_plan(
        path,
        BenchPlan,
        PLAN_VERSION,
        f"There is no bench in {path.parent}; begin one with --presets and --minutes.",
    )


def merged(stored: BenchPlan, wanted: BenchPlan, folder: Path) -> BenchPlan:
    """The stored plan with the cells that ``wanted`` adds to it.

    Raises:
        OptionError: if anything else differs: results of one folder must be comparable.
    """
    for name in ("minutes", "steps", "episodes", "weights", "jobs"):
        old, new = getattr(stored, name), getattr(wanted, name)
        if old != new:
            raise _differs(folder, f"{name} = {old}, not {new}")
    known = {cell.name: _with_absolute_paths(cell) for cell in stored.cells}
    for cell in wanted.cells:
        old = known.setdefault(cell.name, cell)
        if old != cell:
            raise _differs(folder, f"{cell.name} with {_difference(old, cell)}")
    return msgspec.structs.replace(stored, cells=tuple(known.values()), place=wanted.place)


def _with_absolute_paths(cell: Cell) -> Cell:
    """A cell as it is planned now; older versions stored paths as they were typed."""
    given = {name: cell.options.get(name) for name in TrainConfig.PATHS}
    paths = {name: str(Path(path).absolute()) for name, path in given.items() if path}
    return msgspec.structs.replace(cell, options={**cell.options, **paths})


def _difference(old: Cell, new: Cell) -> str:
    for key in {**old.options, **new.options}:
        before, after = old.options.get(key), new.options.get(key)
        if before != after:
            return f"{key} = {before}, not {after}"
    return f"preset {old.preset}, not {new.preset}"


def _differs(folder: Path, what: str) -> OptionError:
    return OptionError(
        f"The bench in {folder} was begun with {what}; choose another folder with --out, or leave "
        "out everything but --out to go on with it. Only levels, seeds, presets and snapshots may "
        "be added."
    )
