"""Where runs to the flag lead, for a reward that pays for going there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from mario_envkit.curriculum.runs import Run
from mario_envkit.env import MarioEnv
from mario_envkit.errors import ReplayError
from mario_envkit.game.levels import Level
from mario_envkit.game.path_progress import ANY_ROW, place_of
from mario_envkit.game.state import GameState, read_state

_FASTEST = 5
"""More pixels in a frame are a change of scene."""


def places_along(runs: Sequence[Run], game: MarioEnv) -> tuple[tuple[int, int], ...]:
    """Places along runs, and how far the flag is from there: ``PathProgress.places``.

    Of every run as many pixels are left at its start as the shortest run of its level has: so no
    way is worth more than another; loops do not count. Where several pass a place the one that has
    the least left counts. A place is a block of 16 by 16 pixels in which Mario stands or climbs;
    the blocks above and below are the same place where no run passes these, as lifts move. In the
    air and under water it is 16 pixels wide and of any height, and as far from the flag as where a
    run is there for the first time.

    Args:
        runs: of any levels.
        game: on whose kind of console to play; another one like it is made.

    Raises:
        ReplayError: if a run is of another cartridge, or does not reach the flag there.
    """
    game = game.made_again()
    try:
        game.render_mode, game.draw = None, False
        ways: dict[Level, list[tuple[float, dict[int, float]]]] = defaultdict(list)
        for run in runs:
            if game.emulator.rom_sha256 != run.rom_sha256:
                raise ReplayError(
                    f"The run of {run.level} was made with another cartridge than this "
                    "environment has; give the right one with rom=."
                )
            states = [read_state(game.emulator.ram.data) for _ in run.play(game)]
            ways[run.level].append(_distances(_without_loops(states)))
    finally:
        game.close()
    passed: dict[int, float] = {}
    for same_level in ways.values():
        shortest = min(length for length, _ in same_level)
        for length, way in same_level:
            _keep_least(
                passed, ((key, left * shortest / max(length, 1)) for key, left in way.items())
            )
    near: dict[int, float] = {}
    for key, left in passed.items():
        if key & ANY_ROW != ANY_ROW:
            beside = (key - 1, key + 1)  # the row is what a key ends with
            _keep_least(near, ((other, left) for other in beside if other not in passed))
    return tuple(sorted((key, round(left)) for key, left in (near | passed).items()))


def _without_loops(states: Sequence[GameState]) -> list[GameState]:
    """What is left of a run where it comes to a place on the ground again: all from there to here
    was for nothing, such as a wrong floor of a maze."""
    kept: list[GameState] = []
    visited: dict[int, int] = {}  # by place, how many had been kept when Mario left it
    for state in states:
        place = place_of(state)
        if not (state.airborne or state.swimming):
            if place in visited:
                del kept[visited[place] :]
                visited = {key: count for key, count in visited.items() if count <= len(kept)}
            visited[place] = len(kept) + 1
        kept.append(state)
    return kept


def _distances(states: Sequence[GameState]) -> tuple[float, dict[int, float]]:
    """The pixels of a run, and those from each of its places to its end."""
    left, found = 0, dict[int, float]()
    after = states[-1]
    for state in reversed(states):
        moved = abs(after.x_pos - state.x_pos)
        left += moved if moved <= _FASTEST and after.area == state.area else 0
        if not (state.airborne or state.swimming):
            found.setdefault(place_of(state), float(left))
        found[place_of(state, ANY_ROW)] = float(left)
        after = state
    return float(left), found


def _keep_least(kept: dict[int, float], new: Iterable[tuple[int, float]]) -> None:
    for key, left in new:
        kept[key] = min(left, kept.get(key, left))
