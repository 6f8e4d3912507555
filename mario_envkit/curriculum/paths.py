"""Where runs to the flag lead, for a reward that pays for going there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

from mario_envkit.curriculum.runs import Run
from mario_envkit.env import MarioEnv
from mario_envkit.errors import ReplayError
from mario_envkit.game.levels import Level
from mario_envkit.game.path_progress import place_of
from mario_envkit.game.state import GameState, read_state

_FASTEST = 5
"""More pixels in a frame are a change of scene."""


def places_along(runs: Sequence[Run], game: MarioEnv) -> tuple[tuple[int, int], ...]:
    """Places along runs, and how far the flag is from there: ``PathProgress.places``.

    Of every run as many pixels are left at its start as the runs of its level have on average: so
    no way is worth more than another. Where several pass a place the one that has the least left
    counts. A place is a block of 16 by 16 pixels in which Mario stands, climbs or swims; the blocks
    above and below are the same place where no run passes these, as lifts move.

    Args:
        runs: of any levels.
        game: on whose kind of console to play; another one like it is made.

    Raises:
        ReplayError: if a run is of another cartridge, or does not reach the flag there.
    """
    game = game.made_again()
    try:
        game.render_mode, game.draw = None, False
        ways: dict[Level, list[tuple[float, list[tuple[int, float]]]]] = defaultdict(list)
        for run in runs:
            if game.emulator.rom_sha256 != run.rom_sha256:
                raise ReplayError(
                    f"The run of {run.level} was made with another cartridge than this "
                    "environment has; give the right one with rom=."
                )
            states = [read_state(game.emulator.ram.data) for _ in run.play(game)]
            ways[run.level].append(_distances(states))
    finally:
        game.close()
    passed: dict[int, float] = {}
    for same_level in ways.values():
        mean = sum(length for length, _ in same_level) / len(same_level)
        for length, way in same_level:
            _keep_least(passed, ((key, left * mean / max(length, 1)) for key, left in way))
    near: dict[int, float] = {}
    for key, left in passed.items():
        beside = (key - 1, key + 1)  # the row is what a key ends with
        _keep_least(near, ((other, left) for other in beside if other not in passed))
    return tuple(sorted((key, round(left)) for key, left in (near | passed).items()))


def _distances(states: Sequence[GameState]) -> tuple[float, list[tuple[int, float]]]:
    """The pixels of a run, and from each place where Mario is not in the air those to its end."""
    left, found = 0, [(place_of(states[-1]), 0.0)]
    for after, before in pairwise(reversed(states)):
        moved = abs(after.x_pos - before.x_pos)
        left += moved if moved <= _FASTEST and after.area == before.area else 0
        if not before.airborne:
            found.append((place_of(before), float(left)))
    return float(left), found


def _keep_least(kept: dict[int, float], new: Iterable[tuple[int, float]]) -> None:
    for key, left in new:
        kept[key] = min(left, kept.get(key, left))
