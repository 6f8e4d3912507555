"""Demonstrated steps, and windows of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mario_agents.imitation.demonstrations import Demonstration


@dataclass(frozen=True)
class Steps:
    """Demonstrated steps, of which windows are drawn.

    Attributes:
        obs: ``(N, ...)`` uint8.
        action: ``(N,)`` int64.
        value: ``(N,)`` float32.
        starts: ``(M,)`` int64, where windows can begin.
        length: of a window.
    """

    obs: NDArray[np.uint8]
    action: NDArray[np.int64]
    value: NDArray[np.float32]
    starts: NDArray[np.int64]
    length: int

    @classmethod
    def of(cls, games: Sequence[Demonstration], length: int) -> Steps:
        """Those of some games; windows do not go from one into another."""
        counts = [len(game.action) for game in games]
        ends = np.cumsum(counts)
        starts = [
            np.arange(end - count, max(end - length, end - count) + 1)[:count]
            for end, count in zip(ends.tolist(), counts, strict=True)
            if count >= length
        ]
        return cls(
            np.concatenate([game.obs for game in games]),
            np.concatenate([game.action for game in games]),
            np.concatenate([game.value for game in games]),
            np.concatenate(starts) if starts else np.zeros(0, np.int64),
            length,
        )

    def windows(self, starts: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """``obs``, ``action`` and ``value`` ``(T, B, ...)``, and ``is_first`` ``(T, B)`` bool."""
        place = starts + np.arange(self.length)[:, None]
        is_first = np.zeros(place.shape, np.bool_)
        is_first[0] = True
        return {
            "obs": self.obs[place],
            "action": self.action[place],
            "value": self.value[place],
            "is_first": is_first,
        }

    def draw(self, count: int, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
        """``count`` :meth:`windows`, drawn with replacement."""
        return self.windows(rng.choice(self.starts, count))
