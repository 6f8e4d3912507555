"""``mario-agents bench``: what trainers learn in a budget."""

from __future__ import annotations

from pathlib import Path

from mario_agents.bench.bench_results import publish, results_of
from mario_agents.bench.layout import BenchLayout
from mario_agents.bench.plan import BenchPlan, merged, read_plan, write_plan
from mario_agents.bench.runner import run_cells
from mario_agents.commands.dispatch import BenchLearn
from mario_envkit.command_line import shell_words
from mario_envkit.errors import OptionError

EXIT_FAILED = 1


def bench_learn(command: BenchLearn) -> None:
    """Do what the plan still asks for, then print the table.

    Raises:
        MarioEnvkitError: for anything wrong that a sentence can explain; what has been measured is
            kept.
        KeyboardInterrupt: if Ctrl-C or SIGTERM asked to stop, after that.
        SystemExit: with status 1 if a run failed.
    """
    layout = BenchLayout(command.out)
    plan = read_plan(layout.plan) if command.show else _plan(command, layout)
    if not command.show:
        run_cells(plan, layout)
    results = results_of(plan, layout)
    print(publish(plan, layout, results))
    print(f"Written to {layout.path}: table.md, results.json, results.csv, curves.svg, curves.png.")
    if results.failed:
        again = shell_words("mario-agents", "bench", "learn", "--out", layout.path)
        print(f"{results.failed} of {len(plan.cells)} runs failed; try them again with: {again}")
        raise SystemExit(EXIT_FAILED)


def _plan(command: BenchLearn, layout: BenchLayout) -> BenchPlan:
    """The stored plan, the one that is asked for, or both together; it is on the disk then."""
    wanted = _wanted(command, layout)
    if wanted is None:
        return read_plan(layout.plan)
    if layout.plan.exists():
        wanted = merged(read_plan(layout.plan), wanted, layout.path)
    else:
        _make(layout.path)
    try:
        write_plan(layout.plan, wanted)
    except OSError as error:
        raise OptionError(f"Cannot write {layout.plan}: {error.strerror}.") from error
    return wanted


def _wanted(command: BenchLearn, layout: BenchLayout) -> BenchPlan | None:
    """What the words ask for; None if they only name the folder."""
    if not command.presets:
        if command != BenchLearn(out=command.out):
            raise OptionError("Name at least one preset with --presets, or give --out alone.")
        return None
    # Trainers, which import torch, are needed to check their options only.
    from mario_agents.bench.process import threads_for
    from mario_agents.bench.request import BenchRequest

    if command.jobs < 1:
        raise OptionError(f"--jobs {command.jobs} must be at least 1.")
    return BenchRequest(
        presets=command.presets,
        levels=command.levels,
        seeds=command.seeds,
        snapshots=command.snapshots,
        overrides=command.set,
        minutes=command.minutes,
        steps=command.steps,
        episodes=command.episodes,
        weights=command.weights,
        jobs=command.jobs,
        threads=threads_for(command.jobs),
    ).plan()


def _make(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptionError(f"Cannot make the folder {path}: {error.strerror}.") from error
