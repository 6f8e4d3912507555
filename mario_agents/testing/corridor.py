"""A corridor with the manners of ``MarioTrain-v0``: small enough to know its solution."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from gymnasium.wrappers import FrameStackObservation, TimeLimit
from numpy.typing import NDArray

STAY, RIGHT, DIE = 0, 1, 2
DEATH, STEP, FLAG = -5.0, 1.0, 5.0
CORRIDOR = "mario_agents.testing:FakeCorridor-v0"
"""Id of the corridor, for ``gymnasium.make`` and for an algorithm's ``env_kwargs``."""


class Corridor(gymnasium.Env[NDArray[np.uint8], np.int64]):
    """Walk right to the flag, or fall into the pit; one brightness for each place."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 60}  # noqa: RUF012

    def __init__(self, length: int, size: int, render_mode: str | None = None) -> None:
        self.length, self.size, self.render_mode = length, size, render_mode
        self.observation_space = Box(0, 255, (size, size), np.uint8)
        self.action_space = Discrete(3)
        self.x = 0

    def _obs(self) -> NDArray[np.uint8]:
        return np.full((self.size, self.size), 20 * self.x, dtype=np.uint8)

    def _info(self, died: bool = False) -> dict[str, Any]:
        return {
            "x_pos": 10 * self.x,
            "level": "1-1",
            "flag_get": self.x == self.length,
            "died": died,
            "life_lost": died,
            "death_cause": "pit" if died else "",
            "ending": "pit" if died else "flag" if self.x == self.length else "",
            "stages_cleared": int(self.x == self.length),
        }

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.x = 0
        return self._obs(), self._info()

    def step(self, action: np.int64) -> Any:
        died, reward = action == DIE, 0.0
        if died:
            reward = DEATH
        elif action == RIGHT:
            self.x += 1
            reward = STEP + (FLAG if self.x == self.length else 0.0)
        return self._obs(), reward, died or self.x == self.length, False, self._info(died)

    def render(self) -> Any:
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


class FakeVectorEnv(VectorEnv[Any, Any, Any]):
    """``num_envs`` corridors stepped at once, with SAME_STEP autoreset; what single ones do, fast.

    Args:
        num_envs, length, size, limit: as of :func:`make_corridor`.
    """

    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012

    def __init__(
        self, num_envs: int, length: int = 5, size: int = 36, limit: int = 12, **ignored: Any
    ) -> None:
        self.num_envs, self.length, self.limit = num_envs, length, limit
        self.single_observation_space = Box(0, 255, (4, size, size), np.uint8)
        self.single_action_space = Discrete(3)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._places = np.zeros((num_envs, 4), dtype=np.int64)
        self._steps = np.zeros(num_envs, dtype=np.int64)

    def _obs(self) -> NDArray[np.uint8]:
        shape = self.observation_space.shape
        assert shape is not None
        return np.broadcast_to((20 * self._places)[:, :, None, None], shape).astype(np.uint8)

    def _info(self, died: NDArray[np.bool_]) -> dict[str, Any]:
        x = self._places[:, -1]
        at_flag = x == self.length
        cause = np.full(self.num_envs, "", dtype=object)
        cause[died] = "pit"
        ending = cause.copy()
        ending[at_flag & ~died] = "flag"
        info: dict[str, Any] = {
            "x_pos": 10 * x,
            "level": np.full(self.num_envs, "1-1", dtype=object),
            "flag_get": at_flag,
            "died": died,
            "life_lost": died,
            "death_cause": cause,
            "ending": ending,
            "stages_cleared": at_flag.astype(np.int64),
        }
        return info

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> Any:
        self._places[:], self._steps[:] = 0, 0
        return self._obs(), self._info(np.zeros(self.num_envs, dtype=np.bool_))

    def step(self, actions: Any) -> Any:
        actions = np.asarray(actions)
        died, right = actions == DIE, actions == RIGHT
        self._places[:, :-1] = self._places[:, 1:]
        self._places[:, -1] += right
        self._steps += 1
        at_flag = self._places[:, -1] == self.length
        reward = np.where(died, DEATH, right * STEP + at_flag * FLAG)
        terminated = died | at_flag
        truncated = ~terminated & (self._steps >= self.limit)
        info, ended = self._info(died), terminated | truncated
        if ended.any():
            final = self._obs()
            info = {
                "final_info": {key: np.array(value) for key, value in info.items()},
                "final_obs": final,
                "_final_obs": ended,
                **info,
            }
            self._places[ended], self._steps[ended] = 0, 0
            info.update(self._info(np.zeros(self.num_envs, dtype=np.bool_)))
        return self._obs(), reward, terminated, truncated, info


gymnasium.register(
    CORRIDOR.partition(":")[2],
    entry_point=make_corridor,
    vector_entry_point=f"{__name__}:FakeVectorEnv",
)


def corridor_q(length: int, gamma: float) -> NDArray[np.float64]:
    """The optimal action values ``(length, 3)``, by going backwards from the flag."""
    q = np.zeros((length, 3))
    value = 0.0
    for x in reversed(range(length)):
        q[x, RIGHT] = STEP + (FLAG if x == length - 1 else gamma * value)
        q[x, DIE] = DEATH
        value = q[x, RIGHT]
        q[x, STAY] = gamma * value
    return q
