"""A reward for ground along known runs to the flag."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from mario_envkit.arguments import as_sequence, not_possible
from mario_envkit.game.rewards import BuiltInTerm, Memory, Number
from mario_envkit.game.state import GameState

MOST_GAINED = 128
"""Pixels that :class:`PathProgress` pays for in a frame: where a run comes by twice, and by short
cuts, a step can gain a thousand."""

ANY_ROW = 63
"""The row of places in the air and under water."""


@dataclass(frozen=True)
class PathProgress(BuiltInTerm):
    """Pixels gained along known runs to the flag, whichever way they lead.

    Where they turn back, go through pipes, or choose one of several floors, the best x says little,
    and this does. On the ground Mario is on a run where a run stands or walks. In the air, where no
    two jumps are alike, and on lifts, which are never twice in the same place, he is so at any
    height, if the ground that he left was on a run and not far behind the best place so far; so on
    a wrong floor nothing is gained. Under water he is so at any height. Aytar et al. 2018, "Playing
    hard exploration games by watching YouTube", pay for checkpoints along a demonstration in the
    same manner.

    Attributes:
        places: ``(key, left)`` of every place along the runs: :func:`place_of`, and the pixels that
            are left from there to the flag; see :func:`mario_envkit.curriculum.paths.places_along`.
            Without any it pays nothing.
        weight: what this pays is multiplied by it.
    """

    name: str = "path"
    places: tuple[tuple[int, int], ...] = field(default=(), repr=False, metadata={"of_kind": False})
    weight: float = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        expected = "pairs of whole numbers, as places_along() returns them"
        places = as_sequence("places", self.places, expected)
        if not all(isinstance(pair, (tuple, list)) and len(pair) == 2 for pair in places):
            raise not_possible("places", self.places, expected)
        if not all(type(number) is int and number >= 0 for pair in places for number in pair):
            raise not_possible("places", self.places, expected)
        places = tuple(map(tuple, places))
        object.__setattr__(self, "places", places)

    @cached_property
    def left(self) -> dict[int, int]:
        """The pixels that are left, by place."""
        return dict(self.places)

    def start(self, state: GameState) -> Memory:
        left, on_ground = self._left_from(state, 1)
        return left, _stage_of(state) * 2 + (left >= 0) * on_ground + (1 - on_ground)

    def __call__(self, memory: Memory, state: GameState) -> tuple[Number, Memory]:
        best, before = memory
        stage = _stage_of(state)
        entered = stage != before >> 1
        sure = before & 1 | entered
        left, on_ground = self._left_from(state, sure)
        known = left >= 0
        new = (best < 0) | entered  # nothing to compare with
        gained = (best - left) * (known & (new == 0) & (left < best))
        gained = gained - (gained - MOST_GAINED) * (gained > MOST_GAINED)
        best = best + (left - best) * (entered | (known & (new | (left < best))))
        here = known & (left <= best + MOST_GAINED)
        sure = on_ground * here + (1 - on_ground) * sure
        return self.weight * gained, (best, stage * 2 + sure)

    def _left_from(self, state: GameState, sure: Number) -> tuple[Number, Number]:
        """Pixels to the flag, -1 if Mario is on no run; and whether he is on the ground."""
        on_ground = 1 * ((state.airborne | state.swimming) == 0)
        below = self._left(place_of(state))
        beside = self._left(place_of(state, ANY_ROW))
        counts = state.swimming | sure
        return on_ground * below + (1 - on_ground) * (counts * (beside + 1) - 1), on_ground

    def _left(self, place: Number) -> Number:
        """Pixels to the flag from a place; -1 away from all runs."""
        if isinstance(place, np.ndarray):
            return np.array([self.left.get(key, -1) for key in place.tolist()], np.int64)
        return self.left.get(place, -1)


def _stage_of(state: GameState) -> Number:
    return state.world * 256 + state.stage


def place_of(state: GameState, row: Number = None) -> Number:
    """The number of the block of 16 by 16 pixels that Mario is in: of all stages and areas.

    Args:
        state: of the game.
        row: another one than his, :data:`ANY_ROW` for places of any height.
    """
    stage = state.world * 64 + state.stage
    column = (state.x_pos >> 4) + 16
    row = state.y_pos >> 4 if row is None else row
    return ((stage << 16 | state.area) << 12 | column) << 6 | row
