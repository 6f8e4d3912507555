"""From what a person asks for to a plan."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Literal

import msgspec

from mario_agents.bench.machine import machine_text
from mario_agents.bench.plan import BenchPlan, Cell, Weights
from mario_agents.config import absolute_paths, make_config, parse_value, to_plain
from mario_agents.presets import Preset, find_preset, read_preset
from mario_envkit.curriculum.level_text import each_place
from mario_envkit.errors import OptionError
from mario_envkit.plugins import load_trainer

Snapshots = Literal["on", "off", "both", "preset"]
OWN = {"level", "seed", "snapshots", "max_minutes", "total_steps", "ui"}
"""Options that the bench itself decides on."""


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
        threads: cores that each run may use, if they are not to use all.
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
    threads: int | None = None

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
        presets = [find(word) for word in self.presets]
        labels = [label_of(preset) for preset in presets]
        if len(set(labels)) < len(labels):
            raise OptionError(f"--presets names {max(labels, key=labels.count)} twice.")
        overrides = parse_overrides(self.overrides)
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
            machine_text(),
        )
        return _checked(plan, "command line")

    def _cells(self, preset: Preset, overrides: Mapping[str, Any], seed: int) -> Iterator[Cell]:
        config_class = load_trainer(preset.trainer).config_class
        known = {field.name for field in dataclasses.fields(config_class)}
        base = {**preset.options, **overrides, "seed": seed}
        source = f"preset {label_of(preset)}"
        if "ui" in known:
            base["ui"] = False
        if self.minutes is not None:
            base["max_minutes"] = self.minutes
        if self.steps is not None:
            base["total_steps"] = self.steps
        places = each_place(self.levels, str(base.get("game", "smb")))
        levels: list[str | None] = [*places] or [None]
        for level, snapshots in product(levels, self._snapshots(known, preset)):
            chosen = {"level": level, "snapshots": snapshots}
            options = {**base, **{k: v for k, v in chosen.items() if v is not None}}
            config = absolute_paths(make_config(config_class, options, source=source))
            plain = to_plain(config)
            if self.threads is not None and "torch_threads" in plain:
                plain["torch_threads"] = min(plain["torch_threads"], self.threads)
            yield _cell(preset, plain)

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


def find(word: str) -> Preset:
    """What a word of ``--presets`` means.

    Raises:
        ConfigError, TrainerError: if there is no such preset or trainer.
    """
    path = Path(word)
    if path.suffix.lower() in {".yaml", ".yml", ".json"}:
        return read_preset(path)
    trainer, slash, name = word.partition("/")
    load_trainer(trainer)
    return find_preset(trainer, name) if slash else Preset(trainer, "", "", "")


def label_of(preset: Preset) -> str:
    """``trainer/name``, or the trainer alone for its defaults."""
    return f"{preset.trainer}/{preset.name}" if preset.name else preset.trainer


def parse_overrides(words: Sequence[str]) -> dict[str, Any]:
    """Options from words such as ``gamma=0.95``.

    Raises:
        OptionError: if a word is none, or is about what the bench decides on itself.
        ConfigError: if a value cannot be read.
    """
    options: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name:
            raise OptionError(f"--set takes words such as gamma=0.95, not {word!r}.")
        if name in OWN:
            raise OptionError(
                f"--set {word}: give it by the bench's own options --levels, --seeds, --snapshots, "
                "--minutes and --steps."
            )
        if name in options:
            raise OptionError(f"--set has {name} twice.")
        options[name] = parse_value(value)
    return options


def _cell(preset: Preset, options: dict[str, Any]) -> Cell:
    label = label_of(preset)
    level, seed = str(options.get("level", "")), int(options.get("seed", 0))
    snapshots = options.get("snapshots")
    variant = [] if snapshots is None else ["snapshots-on" if snapshots else "snapshots-off"]
    words = [label, level, *variant, f"seed-{seed}"]
    name = "_".join(re.sub(r"[^A-Za-z0-9.-]+", "-", word) for word in words)
    return Cell(name, label, preset.trainer, level, seed, snapshots, options)


def _checked(plan: BenchPlan, source: str) -> BenchPlan:
    """The plan, if its values are within their limits.

    Raises:
        OptionError: if not.
    """
    try:
        return msgspec.convert(msgspec.to_builtins(plan), BenchPlan)
    except msgspec.ValidationError as error:
        raise OptionError(f"{source}: {error}.") from error
