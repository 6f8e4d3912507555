"""A corridor with the manners of ``MarioTrain-v0``: small enough to know its solution."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete
from gymnasium.wrappers import FrameStackObservation, TimeLimit

STAY, RIGHT, DIE = 0, 1, 2
DEATH, STEP, FLAG = -5.0, 1.0, 5.0


class Corridor(gymnasium.Env[np.ndarray, int]):
    """Walk right to the flag, or fall into the pit; one brightness for each place."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 60}  # noqa: RUF012

    def __init__(self, length: int, size: int, render_mode: str | None = None) -> None:
        self.length, self.size, self.render_mode = length, size, render_mode
        self.observation_space = Box(0, 255, (size, size), np.uint8)
        self.action_space = Discrete(3)
        self.x = 0

    def _obs(self) -> np.ndarray:
        return np.full((self.size, self.size), 20 * self.x, dtype=np.uint8)

    def _info(self, died: bool = False) -> dict[str, Any]:
        return {
            "x_pos": 10 * self.x,
            "level": "1-1",
            "flag_get": self.x == self.length,
            "died": died,
            "life_lost": died,
            "death_cause": "pit" if died else None,
        }

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.x = 0
        return self._obs(), self._info()

    def step(self, action: int) -> Any:
        died, reward = action == DIE, 0.0
        if died:
            reward = DEATH
        elif action == RIGHT:
            self.x += 1
            reward = STEP + (FLAG if self.x == self.length else 0.0)
        return self._obs(), reward, died or self.x == self.length, False, self._info(died)

    def render(self) -> np.ndarray:
        return np.repeat(self._obs()[:, :, None], 3, axis=2)


def make_corridor(
    length: int = 5,
    size: int = 36,
    limit: int = 12,
    render_mode: str | None = None,
    **ignored: Any,
) -> gymnasium.Env[Any, Any]:
    """Stacks of four frames, truncated after ``limit`` steps; ignores other options."""
    env = TimeLimit(Corridor(length, size, render_mode), limit)
    return FrameStackObservation(env, 4)


CORRIDOR = "FakeCorridor-v0"
if CORRIDOR not in gymnasium.registry:
    gymnasium.register(CORRIDOR, entry_point=make_corridor)


def corridor_q(length: int, gamma: float) -> np.ndarray:
    """The optimal action values ``(length, 3)``, by going backwards from the flag."""
    q = np.zeros((length, 3))
    value = 0.0
    for x in reversed(range(length)):
        q[x, RIGHT] = STEP + (FLAG if x == length - 1 else gamma * value)
        q[x, DIE] = DEATH
        value = q[x, RIGHT]
        q[x, STAY] = gamma * value
    return q
