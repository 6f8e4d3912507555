"""A policy for the corridor whose games can be told apart."""

from __future__ import annotations

from typing import Any

import numpy as np

from mario_agents.testing.corridor import CORRIDOR, RIGHT, STAY

GAME = {"id": CORRIDOR}


class Walk:
    """Goes right from its ``start``-th step on; in game i of a batch from step ``start + i``."""

    def __init__(self, start: int = 0) -> None:
        self.start = start

    def reset(self, num_envs: int) -> None:
        self.steps = 0

    def act(self, observations: Any, *, greedy: bool) -> Any:
        games = np.arange(len(observations))
        self.steps += 1
        return np.where(self.steps > self.start + games, RIGHT, STAY)
