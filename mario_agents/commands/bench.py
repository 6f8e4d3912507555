"""``mario-agents bench``: what trainers learn in a budget."""

from __future__ import annotations

from pathlib import Path

from mario_agents.bench.layout import BenchLayout
from mario_agents.bench.outcome import outcome_of, publish
from mario_agents.bench.plan import Plan, merged, read_plan, write_plan
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
    folder = BenchLayout(command.out)
    plan = read_plan(folder.plan) if command.show else _plan(command, folder)
    if not command.show:
        run_cells(plan, folder)
    outcome = outcome_of(plan, folder)
    print(publish(plan, folder, outcome))
    print(f"Written to {folder.path}: table.md, results.json, results.csv, curves.svg, curves.png.")
    if outcome.failed:
        again = shell_words("mario-agents", "bench", "learn", "--out", folder.path)
        print(f"{outcome.failed} of {len(plan.cells)} runs failed; try them again with: {again}")
        raise SystemExit(EXIT_FAILED)


def _plan(command: BenchLearn, folder: BenchLayout) -> Plan:
    """The stored plan, the one that is asked for, or both together; it is on the disk then."""
    wanted = _wanted(command, folder)
    if wanted is None:
        return read_plan(folder.plan)
    if folder.plan.exists():
        wanted = merged(read_plan(folder.plan), wanted, folder.path)
    else:
        _make(folder.path)
    try:
        write_plan(folder.plan, wanted)
    except OSError as error:
        raise OptionError(f"Cannot write {folder.plan}: {error.strerror}.") from error
    return wanted


def _wanted(command: BenchLearn, folder: BenchLayout) -> Plan | None:
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
