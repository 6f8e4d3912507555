"""The command ``mario-envkit solve``: find runs to the flag, save them, print a table."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from mario_envkit.arguments import as_int, as_path
from mario_envkit.curriculum.level_text import each_level
from mario_envkit.curriculum.runs import run_path
from mario_envkit.curriculum.search import Effort, NotSolved, solve
from mario_envkit.errors import OptionError
from mario_envkit.game.levels import Level

_HEADER = f"{'level':>5}  {'run':>6}  {'searched':>9}  {'places':>6}  {'seconds':>7}  file"


_TRIES = 3
"""Searches for each run that is wanted, of which some may find one that is known."""


def solve_levels(
    level: Any,
    out: str | os.PathLike[str],
    *,
    game: str = "smb",
    timing: str = "console",
    rom: str | os.PathLike[str] | None = None,
    rom_unknown: str = "refuse",
    seed: int = 0,
    seconds: float = 60,
    runs: int = 1,
    actions: str | None = None,
    frame_skip: int = 1,
) -> list[Level]:
    """Search levels, such as "1-1", "1-1..2-4" or "all"; each run is verified and saved.

    Prints one row for each run: its frames, frames searched, places reached, seconds with
    verification, file. Several runs of a level are different ones, of searches with seeds that
    follow one another; their files are those of :func:`~mario_envkit.curriculum.runs.run_path`.
    With ``actions`` and ``frame_skip`` of an agent they are ways that it can play itself, see
    :func:`~mario_envkit.curriculum.search.solve`.

    Returns:
        The levels for which ``seconds``, for each search, were not enough.

    Raises:
        MarioEnvkitError: for arguments that make no sense.
    """
    levels, out = each_level(level, game), as_path("out", out)
    runs = as_int("runs", runs, least=1, most=1000)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptionError(f"The folder {out} cannot be made: {error.strerror}.") from error
    print(_HEADER, flush=True)
    options = {
        "game": game, "timing": timing, "rom": rom, "rom_unknown": rom_unknown,
        "actions": actions, "frame_skip": frame_skip,
    }  # fmt: skip
    unsolved = []
    frames = 0
    begin = time.perf_counter()
    for stage in levels:
        searched, found = _solve_level(stage, out, runs, seed, {**options, "seconds": seconds})
        frames += searched
        if found < runs:
            unsolved.append(stage)
    print(
        f"{len(levels) - len(unsolved)} of {len(levels)} cleared and verified, {frames} frames "
        f"searched, {time.perf_counter() - begin:.1f} s, seed {seed}, timing {timing}"
    )
    return unsolved


def _solve_level(
    stage: Level, out: Path, runs: int, seed: int, options: dict[str, Any]
) -> tuple[int, int]:
    """Search a level for ``runs`` different runs; frames that were searched, and runs found."""
    known: set[bytes] = set()
    frames = 0
    for number in range(_TRIES * runs):
        status, start = _StatusLine(), time.perf_counter()
        try:
            run, effort = solve(stage, seed=seed + number, progress=status.show, **options)
        except NotSolved as failure:
            status.clear()
            print(f"{stage!s:>5}  {failure}", flush=True)
            return frames + status.frames, len(known)
        frames += effort.frames
        status.clear()
        if run.actions in known:
            continue
        known.add(run.actions)
        path = run_path(
            out, stage, game=options["game"], timing=options["timing"], number=len(known)
        )
        run.save(path)
        print(
            f"{stage!s:>5}  {run.frames:6}  {effort.frames:9}  {effort.cells:6}  "
            f"{time.perf_counter() - start:7.2f}  {path}",
            flush=True,
        )
        if len(known) == runs:
            break
    else:
        print(f"{stage!s:>5}  There were only {len(known)} different runs.", flush=True)
    return frames, len(known)


class _StatusLine:
    """What the search is doing, four times a second on one line of a terminal, else nowhere."""

    def __init__(self) -> None:
        self.frames = 0
        self._shown = 0.0
        self._terminal = sys.stderr.isatty()

    def show(self, effort: Effort) -> None:
        self.frames = effort.frames
        if self._terminal and effort.seconds - self._shown > 0.25:
            self._shown = effort.seconds
            print(
                f"\r{effort.level}: {effort.seconds:.1f} s, {effort.frames} frames, "
                f"{effort.cells} places",
                end="\x1b[K", file=sys.stderr, flush=True,
            )  # fmt: skip

    def clear(self) -> None:
        if self._shown:
            print(end="\r\x1b[K", file=sys.stderr, flush=True)
