"""Find a way to the flag without learning: the first phase of Go-Explore on the native console.

Source: Ecoffet et al. 2021, "First return, then explore", Nature 590.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mario_envkit.arguments import MOST_FRAMES, as_choice, as_float, as_int, not_possible
from mario_envkit.curriculum.runs import Run
from mario_envkit.emulator import native
from mario_envkit.emulator.backends import TIMINGS
from mario_envkit.errors import MarioEnvkitError
from mario_envkit.game.actions import resolve_actions
from mario_envkit.game.levels import Level, parse_level

if TYPE_CHECKING:
    from mario_envkit.curriculum.explore import Exploration


class NotSolved(MarioEnvkitError):
    """The search did not reach the flag in the time it was given."""


@dataclass(frozen=True)
class Effort:
    """What a search has done so far.

    Attributes:
        level: the stage.
        frames: frames played.
        seconds: time spent.
        cells: places known.
    """

    level: Level
    frames: int
    seconds: float
    cells: int


def solve(
    level: Any,
    *,
    game: str = "smb",
    timing: str = "console",
    rom: str | os.PathLike[str] | None = None,
    rom_unknown: str = "refuse",
    seed: int = 0,
    seconds: float = 60,
    actions: str | Sequence[Sequence[str]] | None = None,
    frame_skip: int = 1,
    progress: Callable[[Effort], object] | None = None,
) -> tuple[Run, Effort]:
    """Search a level for a way to its flag; the run that is returned has been verified.

    The same seed finds the same run. Warps to other worlds do not count as a way. A search that
    goes on for a minute holds about 100 MB of machines.

    Args:
        level: "1-1" or ``(1, 1)``.
        game: "smb" or "lost_levels".
        timing: "console" or "nes-py": the run can be played only there.
        rom: a cartridge image; None is the installed one.
        rom_unknown: "allow" one that is not known, see :class:`~mario_envkit.env.MarioEnv`.
        seed: of the random moves, 0 or more.
        seconds: when to give up.
        actions: what may be held, as for ``MarioTrain-v0`` ("simple"), so that an agent that has
            these actions can play the run; None is those of "complex".
        frame_skip: frames of an agent step; what is held changes only between two of these.
        progress: is called after every expedition, about a thousand times a second: draw rarely.

    Raises:
        NotSolved: if the time was not enough.
        OptionError: for arguments that make no sense.
        BackendUnavailable: without the native core.
    """
    native.require()
    seed = as_int("seed", seed, most=2**64 - 1)
    seconds = as_float("seconds", seconds, above=0, infinite=True)
    timing = as_choice("timing", timing, TIMINGS["native"])
    frame_skip = as_int("frame_skip", frame_skip, least=1, most=MOST_FRAMES, what="frames")
    held = None if actions is None else resolve_actions(actions)
    if progress is not None and not callable(progress):
        raise not_possible("progress", progress, "a function, or None")
    stage = parse_level(level, game)
    from mario_envkit.curriculum.explore import Exploration  # needs the native core

    rng = np.random.default_rng([seed, *stage])
    search = Exploration(stage, game, timing, rom, rom_unknown, rng, held, frame_skip)
    won, effort = _until_won(search, stage, seconds, progress)
    run = Run(stage, won, timing, search.core, search.rom_sha256, game)
    run.verify(rom=rom, rom_unknown=rom_unknown)
    return run, effort


def _until_won(
    search: Exploration,
    stage: Level,
    seconds: float,
    progress: Callable[[Effort], object] | None,
) -> tuple[bytes, Effort]:
    """Joypad bytes that reach the flag, and what it took to find them."""
    start = time.perf_counter()
    while True:
        won = search.expedition()
        effort = Effort(stage, search.frames, time.perf_counter() - start, len(search.cells))
        if progress is not None:
            progress(effort)
        if won is not None:
            return won, effort
        if effort.seconds >= seconds:
            raise NotSolved(
                f"No way through {stage} was found in {seconds:g} s ({effort.frames} frames, "
                f"{effort.cells} places reached); allow more seconds or try another seed."
            )
