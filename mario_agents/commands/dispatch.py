"""From the words of a command line to the function that does the work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import FlagCreatePairsOff, Positional

from mario_agents.commands.numbers import REGISTRY
from mario_agents.evaluation.conditions import CONDITIONS, Condition
from mario_envkit.errors import OptionError
from mario_envkit.plugins import available_trainers

DESCRIPTION = """Train agents on Super Mario Bros, and see what they learned.

For example: mario-agents train ddqn --level 1-1 --total-steps 20000.
Every command explains itself with --help."""


@dataclass(frozen=True, kw_only=True)
class Playing:
    """How an agent plays."""

    run: Annotated[Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Run directory."""
    greedy: FlagCreatePairsOff[bool] = False
    """Always take the best action; this is the default."""
    sampled: FlagCreatePairsOff[bool] = False
    """Choose actions as the agent explores in evaluation, instead of the best."""
    sticky: float = 0.0
    """Sticky actions: probability that the console sees the previous action again."""
    noop_max: int = 30
    """Most idle frames before the agent takes over; without them greedy games are all alike."""
    seed: int = 0
    """Seed of the first episode; each further one has the next seed."""
    weights: Literal["best", "latest"] = "best"
    """The best weights of the evaluations during training, or the latest; without evaluations there
    are latest ones only."""
    device: str = "auto"
    """Where the networks live: cpu, cuda, ..., or auto."""

    @property
    def is_greedy(self) -> bool:
        """Whether to take the best action.

        Raises:
            OptionError: if both ways were asked for.
        """
        if self.greedy and self.sampled:
            raise OptionError("--greedy and --sampled exclude each other; give one of them.")
        return not self.sampled


@dataclass(frozen=True, kw_only=True)
class Eval:
    """Measure a run by one standard: episodes from true starts, greedy and sampled, with a console
    that obeys (plain, after 0 to 30 idle frames) and with sticky actions; 95 % intervals."""

    run: Annotated[Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Run directory."""
    levels: tuple[str, ...] = ()
    """Levels to play one by one, such as 1-1 1-2, 1-1..2-4 or all; or full, or an order such as
    random:1-1..1-4, as for train --level; without it, where the run was trained."""
    conditions: tuple[Condition, ...] = CONDITIONS
    """Which of the four conditions to play."""
    episodes: int = 100
    """Episodes for each level and condition."""
    quick: FlagCreatePairsOff[bool] = False
    """Ten episodes for each level and condition, whatever else is said: a first look, not the
    standard."""
    sticky: float = 0.25
    """Probability, where sticky, that the console sees the previous action again."""
    noop_max: int = 30
    """Most idle frames before the agent takes over."""
    seed: int = 0
    """Seed of the first episode; each further one has the next seed."""
    weights: Literal["best", "latest"] = "best"
    """The best weights of the evaluations during training, or the latest."""
    device: str = "auto"
    """Where the networks live: cpu, cuda, ..., or auto."""
    on: Literal["mario-envkit", "gym-super-mario-bros"] = "mario-envkit"
    """The package in which the game is played; the original one is much slower."""
    python: Path | None = None
    """Python in which gym-super-mario-bros works, if not this one (7.4 needs NumPy 1)."""
    json: FlagCreatePairsOff[bool] = False
    """Print JSON with every episode instead of a table."""
    out: Path | None = None
    """Write the JSON to this file as well."""


@dataclass(frozen=True, kw_only=True)
class Watch(Playing):
    """Show the agent of a run: in a window, or in the terminal where there is no display."""

    episodes: int = 1
    """Episodes to play."""
    view: Literal["auto", "window", "terminal"] = "auto"
    """Where to show it; auto takes a window if there is a display."""


@dataclass(frozen=True, kw_only=True)
class Record(Playing):
    """Write a video (MP4) of the agent of a run."""

    episodes: int = 1
    """Episodes to play, one after the other in the same video."""
    out: Path | None = None
    """The file; without it a new one in the run's directory videos/."""
    grid: str | None = None
    """Columns x rows, such as 4x4: as many games at once, side by side, each with its own seed."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """Write a report of one or more runs: a single HTML file with curves, maps of the levels with
    all deaths, success per level, and the video of the best episode. It needs no network."""

    runs: Annotated[Positional[tuple[Path, ...]], tyro.conf.arg(metavar="RUN [RUN...]")]
    """Run directories; damaged and half-written ones are reported as far as they go."""
    out: Path | None = None
    """The file; without it report.html, in the run's directory if there is one run."""


@dataclass(frozen=True, kw_only=True)
class Plot:
    """Draw metrics of one or more runs over agent steps: the mean over the seeds of each
    configuration, and a standard deviation around it."""

    runs: Annotated[Positional[tuple[Path, ...]], tyro.conf.arg(metavar="RUN [RUN...]")]
    """Run directories."""
    metric: str = "return,success"
    """What to draw, one panel each: columns of the runs' CSV files, or return, x, length."""
    out: Path = Path("curve.png")
    """The figure: a PNG, PDF or SVG."""


@dataclass(frozen=True, kw_only=True)
class Monitor:
    """Show a run that is being trained, or was: a dashboard in a terminal, else a summary."""

    run: Annotated[Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Run directory."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Measure what trainers learn: mario-agents bench learn [options]."""


BENCH_DESCRIPTION = """Measure what trainers learn in a budget, over several seeds.

For example, three seeds of two presets, with and without snapshots, two minutes each:

mario-agents bench learn --presets ppo/tiles-cpu ddqn/tiles-cpu --levels 1-1 2-1 \\
    --snapshots both --minutes 2 --out benches/first"""


@dataclass(frozen=True, kw_only=True)
class BenchLearn:
    """Train every preset on every level with every seed, one after the other, and measure each by
    the standard of mario-agents eval. Ends with a table (table.md, results.json, results.csv) and
    curves (curves.svg, curves.png).

    It can be stopped at any time: the same command, or --out alone, goes on. Runs that were
    finished are kept. One that was still training starts again, since its wall clock would tell
    nothing otherwise, and one that failed is tried again. The same folder takes more presets,
    levels, seeds and snapshots; anything else needs a folder of its own.

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
    """Practice from snapshots before the places of many deaths; both compares on and off, seed by
    seed; preset leaves it as it is."""
    set: tuple[str, ...] = ()
    """Options of all runs, such as gamma=0.95 lr=1e-3; see mario-agents train TRAINER --help."""
    episodes: int = 100
    """Episodes for each condition of the standard at the end."""
    weights: tuple[Literal["best", "latest"], ...] = ("best", "latest")
    """Weights that are measured at the end: those of the best evaluation in training, the last."""
    jobs: int = 1
    """Runs that train at once, each on its share of the cores."""
    show: FlagCreatePairsOff[bool] = False
    """Run nothing; only print the table, and write it and the curves, of what there is by now."""


@dataclass(frozen=True, kw_only=True)
class Trainers:
    """List the installed trainers."""


@dataclass(frozen=True, kw_only=True)
class Presets:
    """List the presets of the trainers, with what each was measured to do."""

    trainer: Annotated[Positional[str | None], tyro.conf.arg(metavar="[TRAINER]")] = None
    """Only those of this trainer."""


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train an agent, or continue a run: mario-agents train NAME [options]."""


def dispatch(args: list[str]) -> None:
    """Run one command.

    Raises:
        MarioEnvkitError: for anything wrong that a sentence can explain.
        SystemExit: with status 2 for a malformed command line, 0 after ``--help``.
    """
    if args[:1] == ["train"]:
        # Its options are known only after the trainer's name: it parses the rest by itself.
        from mario_agents.commands.train import train

        return train(args[1:])
    if args[:1] == ["bench"]:
        return _bench(args[1:])
    commands: dict[str, Callable[..., object]] = {
        "train": Train,
        "bench": Bench,
        "eval": Eval,
        "watch": Watch,
        "record": Record,
        "report": Report,
        "plot": Plot,
        "monitor": Monitor,
        "trainers": Trainers,
        "presets": Presets,
    }
    command = tyro.extras.subcommand_cli_from_dict(
        commands, prog="mario-agents", description=DESCRIPTION, args=args, registry=REGISTRY
    )
    if isinstance(command, Trainers):
        return list_trainers()
    if isinstance(command, Presets):
        from mario_agents.commands.presets import list_presets

        return list_presets(command)
    if isinstance(command, Eval):
        from mario_agents.commands.evaluate import evaluate_run

        return evaluate_run(command)
    if isinstance(command, (Report, Plot)):
        if not command.runs:
            raise OptionError("Name at least one run directory.")
        from mario_agents.commands import report

        if isinstance(command, Report):
            return report.report_runs(command)
        return report.plot_runs(command)
    if isinstance(command, Monitor):
        from mario_agents.commands.monitor import monitor_run

        return monitor_run(command)
    from mario_agents.commands import play

    if isinstance(command, Watch):
        return play.watch_run(command)
    assert isinstance(command, Record)
    return play.record_run(command)


def _bench(args: list[str]) -> None:
    """Run ``mario-agents bench`` with the words after it."""
    parts: dict[str, Callable[..., object]] = {"learn": BenchLearn}
    command = tyro.extras.subcommand_cli_from_dict(
        parts,
        prog="mario-agents bench",
        description=BENCH_DESCRIPTION,
        args=args,
        registry=REGISTRY,
    )
    assert isinstance(command, BenchLearn)
    from mario_agents.commands.bench import bench_learn

    bench_learn(command)


def list_trainers() -> None:
    """Print name, place and distribution of every trainer; imports none of them."""
    entries = available_trainers()
    width = max((len(entry.name) for entry in entries), default=0)
    for entry in entries:
        print(f"{entry.name:<{width}}  {entry.target}  ({entry.distribution})")
    if not entries:
        print("No trainers are installed.")
