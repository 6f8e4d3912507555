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


@dataclass(frozen=True)
class PathProgress(BuiltInTerm):
    """Pixels gained along known runs to the flag, whichever way they lead.

    Where they turn back, go through pipes, or choose one of several floors, the best x says little,
    and this does. In the air nothing is gained, as a jump comes by other floors; what it leads to
    is gained where Mario lands. Aytar et al. 2018, "Playing hard exploration games by watching
    YouTube", pay for checkpoints along a demonstration in the same manner.

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
        return self._left(state), state.world * 256 + state.stage

    def __call__(self, memory: Memory, state: GameState) -> tuple[Number, Memory]:
        best, before = memory
        left, stage = self._left(state), state.world * 256 + state.stage
        known, entered = left >= 0, stage != before
        new = (best < 0) | entered  # nothing to compare with
        gained = (best - left) * (known & (new == 0) & (left < best))
        gained = gained - (gained - MOST_GAINED) * (gained > MOST_GAINED)
        best = best + (left - best) * (entered | (known & (new | (left < best))))
        return self.weight * gained, (best, stage)

    def _left(self, state: GameState) -> Number:
        """Pixels to the flag; -1 in the air, and away from all runs."""
        place = place_of(state)
        if isinstance(place, np.ndarray):
            left = np.array([self.left.get(key, -1) for key in place.tolist()], np.int64)
            return left - (left + 1) * state.airborne
        return -1 if state.airborne else self.left.get(place, -1)


def place_of(state: GameState) -> Number:
    """The number of the block of 16 by 16 pixels that Mario is in: of all stages and areas."""
    stage = state.world * 64 + state.stage
    column, row = (state.x_pos >> 4) + 16, state.y_pos >> 4
    return ((stage << 16 | state.area) << 12 | column) << 6 | row
