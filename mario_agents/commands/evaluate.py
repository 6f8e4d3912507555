"""``mario-agents eval``: measure what a run learned, by the standard."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mario_agents.commands.dispatch import Eval
from mario_agents.commands.runs import StoredRun
from mario_agents.config import validate
from mario_agents.evaluation.standard import Standard, StandardReport, evaluate_levels
from mario_envkit.curriculum.level_text import each_place
from mario_envkit.errors import OptionError
from mario_envkit.files import replace_text

QUICK_EPISODES = 10


def evaluate_run(command: Eval) -> None:
    """Measure a run and print the result; it is kept in the run's ``eval.json`` for reports,
    unless it was only a quick look.

    Raises:
        MarioEnvkitError: for anything wrong that a sentence can explain.
    """
    standard = Standard(
        episodes=QUICK_EPISODES if command.quick else command.episodes,
        sticky=command.sticky,
        noop_max=command.noop_max,
        seed=command.seed,
    )
    validate(standard, source="command line")
    run = StoredRun.open(command.run)
    levels = each_place(command.levels, str(getattr(run.config, "game", "smb")))
    report = _measure(command, run, standard, levels)
    about = {"run": str(command.run.absolute()), "trainer": run.directory.trainer}
    about |= {"weights": command.weights, "on": command.on}
    document = json.dumps({**about, **report.plain()}, indent=2)
    # First of all: it took long to measure.
    if command.json:
        print(document, flush=True)
    else:
        where = "" if command.on == "mario-envkit" else f", played on {command.on}"
        print(f"{command.run} ({run.directory.trainer}{where})\n{report.text()}", flush=True)
    if not command.quick:
        try:
            replace_text(run.directory.standard_path, document + "\n")
        except OSError as error:  # a run that may only be read can be measured all the same
            path = run.directory.standard_path
            print(f"{path} cannot be written, so reports will not have it: {error.strerror}.",
                  file=sys.stderr)  # fmt: skip
    if command.out is not None:
        try:
            replace_text(command.out, document + "\n")
        except OSError as error:
            raise OptionError(f"Cannot write {command.out}: {error.strerror}.") from error


def _measure(
    command: Eval, run: StoredRun, standard: Standard, levels: list[str]
) -> StandardReport:
    policy = run.trainer.load_policy(
        run.config, run.directory.path, device=command.device, weights=command.weights
    )
    env_kwargs = run.trainer.env_kwargs(run.config)
    options: dict[str, Any] = {}
    if command.on == "gym-super-mario-bros":
        from mario_agents.evaluation.original import original_vectors

        options = original_vectors(command.python)
    total = max(len(levels), 1) * len(command.conditions) * standard.episodes
    with _progress(total) as on_episode:
        return evaluate_levels(
            policy, env_kwargs, standard,
            levels=levels, conditions=command.conditions, on_episode=on_episode, **options,
        )  # fmt: skip


@contextmanager
def _progress(total: int) -> Iterator[Callable[[str, str], object]]:
    """A bar on the standard error stream, if that is a terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    )  # fmt: skip
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=total)
        yield lambda level, condition: bar.update(
            task, advance=1, description=f"{level} {condition}"
        )
