"""``mario-agents eval``: measure what an agent can, by the standard."""

from __future__ import annotations

import errno
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from tyro.conf import FlagCreatePairsOff

from mario_agents.commands.environment_options import command_line_with_environment
from mario_agents.commands.measured_agent import AgentOptions, MeasuredAgent, measured_agent
from mario_agents.config import validate
from mario_agents.evaluation.conditions import CONDITIONS, Condition
from mario_agents.evaluation.tracks import TRACKS, TrackName
from mario_agents.telemetry.progress import error_console
from mario_agents.zoo import is_shipped
from mario_envkit.curriculum.level_text import each_place
from mario_envkit.errors import OptionError, RunError
from mario_envkit.files import replace_text

if TYPE_CHECKING:  # what needs torch is imported when it is used: --help does not wait for it
    from mario_agents.evaluation.standard import Standard, StandardReport

QUICK_EPISODES = 10
READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)
"""Errors of a run that may be read and not written."""


@dataclass(frozen=True, kw_only=True)
class EvalOptions(AgentOptions):
    """Measure an agent by one standard: episodes from true starts, greedy and sampled, with a
    console that obeys (plain, after 0 to 30 idle frames), with sticky actions (a whole agent step),
    and with sticky frames (as the Arcade Learning Environment has them); 95 % intervals.

    The agent is that of a run, or anybody's: Python code with act(observations), or a model of
    Stable-Baselines3, for example:

    mario-agents eval runs/RUN

    mario-agents eval --agent my_agent.py:Agent --frame-stack 2 --levels 1-1 1-2 --quick

    mario-agents eval --sb3 model.zip --screen-size 84 --actions simple --out result.json

    mario-agents eval --agent run-right --track held-out --out results/run-right.json

    The file of --out is what mario-agents leaderboard reads. The tracks are in
    docs/pages/benchmark.md."""

    track: TrackName | None = None
    """Track of docs/pages/benchmark.md: its levels are played, and leaderboards compare within
    it."""
    levels: tuple[str, ...] = ()
    """Levels to play one by one, such as 1-1 1-2, 1-1..2-4 or all; or full, or an order such as
    random:1-1..1-4, as for train --level; without it, where the run was trained, or 1-1."""
    conditions: tuple[Condition, ...] = CONDITIONS
    """Which of the six conditions to play."""
    episodes: int = 100
    """Episodes for each level and condition."""
    quick: FlagCreatePairsOff[bool] = False
    """Ten episodes for each level and condition, whatever else is said: a first look, not the
    standard."""
    sticky: float = 0.25
    """Probability, where sticky, that the console sees the previous action again: in an agent step,
    or, in conditions named frames, in a frame."""
    noop_max: int = 30
    """Most idle frames before the agent takes over."""
    seed: int = 0
    """Seed of the first episode, below 1,048,576; each further one has the next seed. Evaluations
    during training, by which the best weights were chosen, have seeds above that."""
    on: Literal["mario-envkit", "gym-super-mario-bros"] = "mario-envkit"
    """The package in which the game is played; the original one is much slower."""
    python: Path | None = None
    """Python in which gym-super-mario-bros works, if not this one (7.4 needs NumPy 1)."""
    json: FlagCreatePairsOff[bool] = False
    """Print JSON with every episode instead of a table."""
    out: Path | None = None
    """Write the JSON to this file as well."""


COMMAND_LINE = command_line_with_environment("eval", EvalOptions)


def main(words: Sequence[str]) -> None:
    """Measure an agent and print the result; the whole standard is kept in the run's ``eval.json``,
    where reports look for it.

    Raises:
        MarioEnvkitError: for anything wrong that a sentence can explain.
    """
    options, given = COMMAND_LINE.parse(words)
    from mario_agents.evaluation.standard import Standard

    standard = Standard(
        episodes=QUICK_EPISODES if options.quick else options.episodes,
        sticky=options.sticky,
        noop_max=options.noop_max,
        seed=options.seed,
    )
    validate(standard, source="command line")
    if options.out is not None and not options.out.parent.is_dir():
        raise OptionError(f"Cannot write {options.out}: there is no folder {options.out.parent}.")
    measured = measured_agent(options, given)
    levels, env_kwargs = _places(options, measured)
    start = time.perf_counter()
    report = _measure(options, measured, env_kwargs, standard, levels)
    seconds = time.perf_counter() - start
    document = _text(_document(options, measured, env_kwargs, report, seconds))
    # First of all: it took long to measure.
    if options.json:
        print(document, flush=True)
    else:
        where = "" if options.on == "mario-envkit" else f", played on {options.on}"
        print(f"{measured.title}{where}\n{report.text()}", flush=True)
    try:
        if measured.run is not None and not is_shipped(measured.run.directory.path):
            _keep_whole(options, measured.run.directory.standard_path, standard, document)
    finally:  # whatever became of that file
        if options.out is not None:
            _write(options.out, document + "\n")


def _keep_whole(options: EvalOptions, path: Path, standard: Standard, document: str) -> None:
    """Keep the whole standard, and nothing less, for reports."""
    if standard.is_whole and set(options.conditions) == set(CONDITIONS):
        _keep(path, document + "\n")
    elif not options.quick:
        whole = type(standard)()
        print(f"Not kept in {path}, where reports look for it, since it is not the whole "
              f"standard: {whole}.", file=sys.stderr)  # fmt: skip


def _write(path: Path, document: str) -> None:
    try:
        replace_text(path, document)
    except OSError as error:
        raise OptionError(f"Cannot write {path}: {error.strerror}.") from error


def _keep(path: Path, document: str) -> None:
    """Write the run's ``eval.json``.

    Raises:
        RunError: if the disk is full or broken. A run that may only be read can be measured all the
            same.
    """
    try:
        replace_text(path, document)
    except OSError as error:
        if error.errno not in READ_ONLY:
            raise RunError(
                f"Cannot write {path}: {error.strerror}; so reports will not have what was "
                "measured. It is printed above; free some space, then measure again."
            ) from error
        print(f"{path} cannot be written, so reports will not have it: {error.strerror}.",
              file=sys.stderr)  # fmt: skip


def _places(options: EvalOptions, measured: MeasuredAgent) -> tuple[list[str], dict[str, Any]]:
    """The levels to play, none for where a run was trained, and the environment's arguments."""
    env_kwargs = dict(measured.agent.env_kwargs)
    if options.track is not None:
        track = TRACKS[options.track]
        env_kwargs["game"] = track.game
        return track.levels_to_play(each_place(options.levels, track.game)), env_kwargs
    return each_place(options.levels, str(env_kwargs.get("game", "smb"))), env_kwargs


def _measure(
    options: EvalOptions,
    measured: MeasuredAgent,
    env_kwargs: dict[str, Any],
    standard: Standard,
    levels: list[str],
) -> StandardReport:
    import torch

    from mario_agents.evaluation.standard import evaluate_levels

    # On a machine that does something else as well, more would wait for one another at every layer.
    torch.set_num_threads(1)
    vectors: dict[str, Any] = {}
    if options.on == "gym-super-mario-bros":
        from mario_agents.evaluation.original import original_vectors

        vectors = original_vectors(options.python)
    total = max(len(levels), 1) * len(options.conditions) * standard.episodes
    with _progress(total) as on_episode:
        return evaluate_levels(
            measured.agent.policy, env_kwargs, standard,
            levels=levels, conditions=options.conditions, on_episode=on_episode, **vectors,
        )  # fmt: skip


def _document(
    options: EvalOptions,
    measured: MeasuredAgent,
    env_kwargs: dict[str, Any],
    report: StandardReport,
    seconds: float,
) -> dict[str, Any]:
    """The result as :class:`~mario_agents.evaluation.result_file.Result` reads it."""
    from mario_agents.evaluation.provenance import circumstances
    from mario_agents.experiments.machine import machine_text

    return {
        **circumstances(
            measured.record,
            measured.training,
            env_kwargs,
            on=options.on,
            seconds=seconds,
            machine=machine_text(),
        ),
        "track": options.track or "",
        **report.plain(),
    }


def _text(document: Mapping[str, Any]) -> str:
    """JSON with a line for each key: what is said of the agent is easily seen, and thousands of
    episodes take little space."""
    lines = (f"{json.dumps(key)}: {json.dumps(value)}" for key, value in document.items())
    return "{\n" + ",\n".join(lines) + "\n}"


@contextmanager
def _progress(total: int) -> Iterator[Callable[[str, str], object]]:
    """A bar on the standard error stream, if that is a terminal."""
    console = error_console()
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
