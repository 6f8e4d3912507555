"""A game that only memory wins: what is shown at the beginning is asked for at the end."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete

CUE = "tests.agents.cue_game:Cue-v0"
DELAY = 3
"""Steps between the cue and the question, in which nothing is to be seen."""


class CueGame(gymnasium.Env[Any, Any]):
    """Observations are three lamps: cue 0, cue 1, and the question.

    The action taken at the question must be the cue's number; all others change nothing.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012
    observation_space = Box(0, 255, (3,), np.uint8)
    action_space = Discrete(2)

    def __init__(self, render_mode: str | None = None, **ignored: Any) -> None:
        self.render_mode = render_mode

    def _observe(self) -> np.ndarray[Any, Any]:
        lamps = np.zeros(3, np.uint8)
        lamps[self.cue] = 255 * (self.time == 0)
        lamps[2] = 255 * (self.time == DELAY + 1)
        return lamps

    def _info(self, *, ending: str = "") -> dict[str, Any]:
        died, won = ending == "pit", ending == "flag"
        info = {"x_pos": self.time, "level": "1-1", "flag_get": won, "stages_cleared": int(won)}
        return {**info, "died": died, "life_lost": died, "ending": ending, "death_cause": ending}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.time, self.cue = 0, int(self.np_random.integers(2))
        return self._observe(), self._info()

    def step(self, action: Any) -> Any:
        answered = self.time == DELAY + 1
        self.time += 1
        if not answered:
            return self._observe(), 0.0, False, False, self._info()
        right = int(action) == self.cue
        return self._observe(), float(right), True, False, self._info(ending=("pit", "flag")[right])

    def render(self) -> Any:
        return np.repeat(np.repeat(self._observe()[None, :, None], 16, 0), 16, 1).repeat(3, 2)


gymnasium.register(CUE.partition(":")[2], CueGame)
