"""What a sweep is: what it searches, what for, and with which budget."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from mario_agents.experiments.cell import Budget, CellFiles
from mario_agents.experiments.place import HERE, Place
from mario_agents.experiments.plan_file import read_plan
from mario_agents.presets import Preset
from mario_agents.sweep.objective import Objective
from mario_agents.sweep.space import Space
from mario_envkit.errors import OptionError

PLAN_VERSION = 1
PLAN_NAME = "sweep.json"
Sampler = Literal["tpe", "random", "gp", "cmaes", "qmc"]
Pruner = Literal["median", "hyperband", "none"]
FREE = ("trials", "jobs", "sampler", "pruner", "startup")
"""What may change from one command to the next: results stay comparable."""


class SweepPlan(Struct, frozen=True):
    """A whole sweep.

    Attributes:
        preset: what is searched around: a preset, with options that a person has given instead.
        overrides: which these were.
        space: what is searched.
        objective: what is to be as large as possible.
        minutes: of training for each trial, or None.
        steps: agent steps for each, or None for what the preset says.
        episodes: for each condition of the standard, if that is the objective.
        seed: that of trial N is N higher; of the search as well.
        trials: how many are to come to a result, or be pruned.
        jobs: how many train at once.
        sampler: what chooses options.
        pruner: what gives trials up.
        startup: random trials before the sampler has a model, and whole ones before anything is
            pruned.
        place: where the trials are.
        version: of this format.
    """

    preset: Preset
    overrides: dict[str, Any]
    space: Space
    objective: Objective = "area"
    minutes: Annotated[float, Meta(gt=0)] | None = None
    steps: Annotated[int, Meta(ge=1)] | None = None
    episodes: Annotated[int, Meta(ge=1)] = 100
    seed: Annotated[int, Meta(ge=0)] = 0
    trials: Annotated[int, Meta(ge=1)] = 20
    jobs: Annotated[int, Meta(ge=1)] = 1
    sampler: Sampler = "tpe"
    pruner: Pruner = "median"
    startup: Annotated[int, Meta(ge=1)] = 5
    place: Place = HERE
    version: int = PLAN_VERSION

    @property
    def budget(self) -> Budget:
        """How long each trial is trained."""
        return Budget(self.minutes, self.steps)


def startup_for(trials: int) -> int:
    """Trials before the sampler has a model, for a sweep of so many: a quarter of them."""
    return min(max(trials // 4, 3), 10)


class SweepLayout(Struct, frozen=True):
    """The directory of a sweep."""

    path: Path

    @property
    def plan(self) -> Path:
        """What is to be done."""
        return self.path / PLAN_NAME

    @property
    def storage(self) -> Path:
        """Optuna's database of all trials."""
        return self.path / "sweep.db"

    @property
    def best(self) -> Path:
        """The best trial as a preset."""
        return self.path / "best.yaml"

    @property
    def page(self) -> Path:
        """The report."""
        return self.path / "report.html"

    def cell(self, name: str) -> CellFiles:
        """Files of the trial of this name."""
        return CellFiles(self.path / "trials" / name, self.path / "runs" / name)

    def lock(self, name: str) -> Path:
        """Held by the command that runs the trial of this name."""
        return self.path / "trials" / f"{name}.lock"


def read_sweep(path: Path) -> SweepPlan:
    """The plan of a sweep.

    Raises:
        RunError: if there is none, or it is damaged.
    """
    return read_plan(
        path,
        SweepPlan,
        PLAN_VERSION,
        f"There is no sweep in {path.parent}; begin one with TRAINER, --search and --minutes.",
    )


def checked(plan: SweepPlan) -> SweepPlan:
    """The plan, if its values are within their limits.

    Raises:
        OptionError: if not.
    """
    try:
        return msgspec.convert(msgspec.to_builtins(plan), SweepPlan)
    except msgspec.ValidationError as error:
        raise OptionError(f"command line: {error}.") from error


def merged(stored: SweepPlan, wanted: SweepPlan, folder: Path) -> SweepPlan:
    """The plan that is wanted, if it goes on with the stored one.

    Raises:
        OptionError: if anything differs but :data:`FREE`: trials of one folder must be comparable,
            and Optuna cannot take in other choices for an option that it has tried.
    """
    for name in SweepPlan.__struct_fields__:
        old, new = getattr(stored, name), getattr(wanted, name)
        if name in (*FREE, "place") or old == new:
            continue
        if name == "space":
            old, new = (" ".join(space.words) for space in (old, new))
        elif name == "preset":
            old, new = _difference(old, new)
        raise OptionError(
            f"The sweep in {folder} was begun with {name} {old}, not {new}; choose another folder "
            "with --out, or leave out everything but --out to go on with it. Only "
            f"{', '.join(f'--{free}' for free in FREE)} may change."
        )
    return wanted


def _difference(old: Preset, new: Preset) -> tuple[str, str]:
    for name in {**old.options, **new.options}:
        before, after = old.options.get(name), new.options.get(name)
        if before != after:
            return f"{name} = {before}", str(after)
    return f"{old.trainer}/{old.name}", f"{new.trainer}/{new.name}"
