"""From what a person asks for to a plan."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any, Literal

import msgspec

from mario_agents.bench.plan import BenchPlan
from mario_agents.experiments.cell import Budget, Cell, Weights, make_cell
from mario_agents.experiments.options import PER_RUN, parse_overrides, run_options
from mario_agents.experiments.place import HERE, Place
from mario_agents.presets import Preset, label_of, preset_of
from mario_envkit.curriculum.level_text import each_place
from mario_envkit.errors import OptionError
from mario_envkit.plugins import load_trainer

Snapshots = Literal["on", "off", "both", "preset"]
OWN = PER_RUN | {"level", "snapshots"}
"""Options that the bench itself decides on."""
INSTEAD = (
    "give it by the bench's own options --levels, --seeds, --snapshots, --minutes and --steps."
)


@dataclasses.dataclass(frozen=True)
class BenchRequest:
    """What a person asks for; the words of ``mario-agents bench learn``.

    Attributes:
        presets: ``trainer/name``, a trainer, or the path of a file.
        levels: see :func:`~mario_envkit.curriculum.level_text.each_place`; none for what the
            presets say.
        seeds: of the runs.
        snapshots: whether deaths go back to snapshots.
        overrides: ``name=value`` for options of all runs.
        The others are those of :class:`BenchPlan`.
    """

    presets: Sequence[str]
    levels: Sequence[str] = ()
    seeds: Sequence[int] = (0, 1, 2)
    snapshots: Snapshots = "preset"
    overrides: Sequence[str] = ()
    minutes: float | None = None
    steps: int | None = None
    episodes: int = 100
    weights: tuple[Weights, ...] = ("best", "latest")
    jobs: int = 1
    place: Place = HERE

    def plan(self) -> BenchPlan:
        """The plan of it; every option of every run is checked by its trainer.

        Raises:
            MarioEnvkitError: for anything wrong that a sentence can explain.
        """
        if self.minutes is None and self.steps is None:
            raise OptionError("A bench needs a budget; give --minutes, --steps, or both.")
        for name, values in (("seeds", self.seeds), ("weights", self.weights)):
            if not values or len(set(values)) < len(values):
                raise OptionError(f"--{name} needs one value or more, each once.")
        presets = [preset_of(word) for word in self.presets]
        labels = [label_of(preset) for preset in presets]
        if len(set(labels)) < len(labels):
            raise OptionError(f"--presets names {max(labels, key=labels.count)} twice.")
        overrides = parse_overrides(self.overrides, OWN, INSTEAD)
        cells = [
            cell
            for seed in self.seeds  # outermost: half a bench is then one with fewer seeds
            for preset in presets
            for cell in self._cells(preset, overrides, seed)
        ]
        plan = BenchPlan(
            tuple(cells),
            self.minutes,
            self.steps,
            self.episodes,
            self.weights,
            self.jobs,
            self.place.machine(),
            self.place,
        )
        return _checked(plan, "command line")

    def _cells(self, preset: Preset, overrides: Mapping[str, Any], seed: int) -> Iterator[Cell]:
        config_class = load_trainer(preset.trainer).config_class
        known = {field.name for field in dataclasses.fields(config_class)}
        budget = Budget(self.minutes, self.steps)
        game = {**preset.options, **overrides}.get("game", "smb")
        levels: list[str | None] = [*each_place(self.levels, str(game))] or [None]
        for level, snapshots in product(levels, self._snapshots(known, preset)):
            varied = {"level": level, "snapshots": snapshots}
            options = run_options(
                preset,
                {**overrides, **{k: v for k, v in varied.items() if v is not None}},
                budget,
                seed=seed,
                threads=self.place.threads(self.jobs),
                source=f"preset {label_of(preset)}",
            )
            yield make_cell(_name(preset, options), preset, options)

    def _snapshots(self, known: set[str], preset: Preset) -> list[bool | None]:
        choices: dict[Snapshots, list[bool | None]] = {
            "on": [True],
            "off": [False],
            "both": [True, False],
            "preset": [None],
        }
        if self.snapshots != "preset" and "snapshots" not in known:
            raise OptionError(
                f"The trainer {preset.trainer!r} has no option snapshots; leave out --snapshots."
            )
        return choices[self.snapshots]


def _name(preset: Preset, options: Mapping[str, Any]) -> str:
    snapshots = options.get("snapshots")
    variant = [] if snapshots is None else ["snapshots-on" if snapshots else "snapshots-off"]
    level, seed = options.get("level", ""), options.get("seed", 0)
    words = [label_of(preset), str(level), *variant, f"seed-{seed}"]
    return "_".join(re.sub(r"[^A-Za-z0-9.-]+", "-", word) for word in words)


def _checked(plan: BenchPlan, source: str) -> BenchPlan:
    """The plan, if its values are within their limits.

    Raises:
        OptionError: if not.
    """
    try:
        return msgspec.convert(msgspec.to_builtins(plan), BenchPlan)
    except msgspec.ValidationError as error:
        raise OptionError(f"{source}: {error}.") from error
