"""``mario-agents bench``: what trainers learn in a budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
from tyro.conf import FlagCreatePairsOff

from mario_agents.bench.bench_results import publish, results_of
from mario_agents.bench.layout import BenchLayout
from mario_agents.bench.plan import BenchPlan, merged, read_bench
from mario_agents.bench.runner import run_cells
from mario_agents.commands.parsing import command_line, show_choices
from mario_agents.commands.place_options import PlaceOptions
from mario_agents.experiments.place import HERE, Place
from mario_agents.experiments.plan_file import write_plan
from mario_envkit.command_line import shell_words
from mario_envkit.errors import OptionError

EXIT_FAILED = 1
DESCRIPTION = """Measure what trainers learn in a budget, over several seeds.

For example, three seeds of two presets, with and without snapshots, two minutes each:

mario-agents bench learn --presets ppo/tiles-cpu ddqn/tiles-cpu --levels 1-1 2-1 \\
    --snapshots both --minutes 2 --out benches/first"""
CHOICES = {"learn": "Train presets and measure each by the standard of mario-agents eval."}


@dataclass(frozen=True, kw_only=True)
class LearnOptions(PlaceOptions):
    """Train every preset on every level with every seed, one after the other, and measure each by
    the standard of mario-agents eval. Ends with a table (table.md, results.json, results.csv) and
    curves (curves.svg, curves.png).

    It can be stopped at any time: the same command, or --out alone, goes on. Runs that were
    finished are kept. One that was still training starts again, since its wall clock would tell
    nothing otherwise, and one that failed is tried again. The same folder takes more presets,
    levels, seeds and snapshots; anything else needs a folder of its own.

    With --engine ray the runs are on the machines of a Ray cluster, and their files come back here.

    For example: mario-agents bench learn --presets ppo/tiles-cpu --minutes 2 --out benches/first
    """

    out: Path
    """Folder of the bench: the plan, all runs, and what was found."""
    presets: tuple[str, ...] = ()
    """TRAINER/PRESET as mario-agents presets lists them, such as ppo/tiles-cpu; a trainer alone for
    its defaults; or a YAML file of your own with the same keys as a preset."""
    levels: tuple[str, ...] = ()
    """Levels, each with runs of its own, such as 1-1 2-1, 1-1..2-4 or all; or full, or an order
    such as random:1-1..1-4, as for train --level; without it, what the presets play."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """One run for each; fewer than three say little."""
    minutes: float | None = None
    """Wall-clock minutes of training for each run. A preset's own total_steps ends a run as well,
    unless --steps says otherwise."""
    steps: int | None = None
    """Agent steps of each run: its total_steps, which schedules of learning rates span."""
    snapshots: Literal["on", "off", "both", "preset"] = "preset"
    """Go back to snapshots before the places of many deaths; both compares on and off, seed by
    seed; preset leaves it as it is."""
    set: tuple[str, ...] = ()
    """Options of all runs, such as gamma=0.95 lr=1e-3; see mario-agents train TRAINER --help."""
    episodes: int = 100
    """Episodes for each condition of the standard at the end."""
    weights: tuple[Literal["best", "latest"], ...] = ("best", "latest")
    """Weights that are measured at the end: those of the best evaluation in training, the last."""
    jobs: int = 1
    """Runs that train at once, each on its share of the cores, or on whichever node of the cluster
    has room."""
    show: FlagCreatePairsOff[bool] = False
    """Run nothing; only print the table, and write it and the curves, of what there is by now."""


COMMAND_LINE = command_line("bench learn", LearnOptions, last=PlaceOptions)


def main(words: Sequence[str]) -> None:
    """Run ``mario-agents bench`` with the words after it; see :func:`learn`."""
    if words[:1] != ["learn"]:
        show_choices("mario-agents bench", CHOICES, DESCRIPTION, words)
    learn(COMMAND_LINE.parse(words[1:]))


def learn(options: LearnOptions) -> None:
    """Do what the plan still asks for, then print the table.

    Raises:
        MarioEnvkitError: for anything wrong that a sentence can explain; what has been measured is
            kept.
        KeyboardInterrupt: if Ctrl-C or SIGTERM asked to stop, after that.
        SystemExit: with status 1 if a run failed.
    """
    layout = BenchLayout(options.out)
    plan = read_bench(layout.plan) if options.show else _plan(options, layout)
    if not options.show:
        run_cells(plan, layout)
    results = results_of(plan, layout)
    print(publish(plan, layout, results))
    print(f"Written to {layout.path}: table.md, results.json, results.csv, curves.svg, curves.png.")
    if results.failed:
        again = shell_words("mario-agents", "bench", "learn", "--out", layout.path)
        print(f"{results.failed} of {len(plan.cells)} runs failed; try them again with: {again}")
        raise SystemExit(EXIT_FAILED)


def _plan(options: LearnOptions, layout: BenchLayout) -> BenchPlan:
    """The stored plan, the one that is asked for, or both together; it is on the disk then."""
    stored = read_bench(layout.plan) if layout.plan.exists() else None
    place = options.place(HERE if stored is None else stored.place)
    wanted = _wanted(options, place)
    if wanted is None:
        stored = stored or read_bench(layout.plan)
        if place == stored.place:
            return stored
        wanted = msgspec.structs.replace(stored, place=place)
    elif stored is not None:
        wanted = merged(stored, wanted, layout.path)
    else:
        _make(layout.path)
    try:
        write_plan(layout.plan, wanted)
    except OSError as error:
        raise OptionError(f"Cannot write {layout.plan}: {error.strerror}.") from error
    return wanted


def _wanted(options: LearnOptions, place: Place) -> BenchPlan | None:
    """What the words ask for; None if they only name the folder, and where the runs are."""
    if not options.presets:
        if options != LearnOptions(out=options.out, **options.place_given()):
            raise OptionError("Name at least one preset with --presets, or give --out alone.")
        return None
    # Trainers, which import torch, are needed to check their options only.
    from mario_agents.bench.request import BenchRequest

    if options.jobs < 1:
        raise OptionError(f"--jobs {options.jobs} must be at least 1.")
    return BenchRequest(
        presets=options.presets,
        levels=options.levels,
        seeds=options.seeds,
        snapshots=options.snapshots,
        overrides=options.set,
        minutes=options.minutes,
        steps=options.steps,
        episodes=options.episodes,
        weights=options.weights,
        jobs=options.jobs,
        place=place,
    ).plan()


def _make(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptionError(f"Cannot make the folder {path}: {error.strerror}.") from error
