"""Wrappers around how an episode begins and ends."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils import RecordConstructorArgs

from mario_envkit.arguments import MOST_FRAMES, as_env, as_int
from mario_envkit.game.rewards import RewardFunction


def draw_noops(rng: np.random.Generator, noop_max: int) -> int:
    """How many frames of doing nothing an episode begins with, 0 to ``noop_max``."""
    # One random() a draw keeps the stream the same whoever replays it.
    return int(rng.random() * (noop_max + 1))


class NoopReset(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Begin every episode with 0 to ``noop_max`` frames of doing nothing (Mnih et al. 2015).

    Args:
        env: a game of ours, or wrappers around one, in which action 0 does nothing, and which
            makes one frame a step. Of these only the last one is observed.
        noop_max: the most frames, up to 3600; how many is drawn from the environment's seed.

    Raises:
        OptionError: for arguments that are not possible.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], noop_max: int = 30) -> None:
        noop_max = as_int("noop_max", noop_max, most=MOST_FRAMES, what="frames")
        RecordConstructorArgs.__init__(self, noop_max=noop_max)
        super().__init__(as_env("env", env))
        self._noop_max = noop_max

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset, then do nothing for a while.

        Raises:
            CallOrderError: while another thread steps or resets the game.
        """
        game: Any = self.unwrapped
        game.step_lock.begin()  # nobody else gets in between two frames
        try:
            observation, info = self.env.reset(seed=seed, options=options)
            left = draw_noops(self.np_random, self._noop_max)
            while left:
                left -= 1
                game.draw = not left
                observation, _, terminated, truncated, info = self.env.step(0)
                if terminated or truncated:
                    observation, info = self.env.reset(options=options)
        finally:  # also where there was nothing to reset
            game.draw = True
            game.step_lock.end()
        return observation, info


class StallLimit(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Truncate an episode that has not got anywhere new for ``limit`` steps.

    New is a best x in the current area of the current level; entering another area (a pipe, the
    next level) counts as new as well. A reward with a term
    :class:`~mario_envkit.game.rewards.Stall` pays for it.

    Args:
        env: the environment.
        limit: steps of ``env`` (agent steps, when it is put around the frame skip).

    Raises:
        OptionError: for arguments that are not possible.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], limit: int) -> None:
        limit = as_int("limit", limit, least=1, what="steps")
        RecordConstructorArgs.__init__(self, limit=limit)
        super().__init__(as_env("env", env))
        self._limit = limit

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset, and forget the best x."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._place, self._best, self._stalled = self._where(info), info["x_pos"], 0
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step, and truncate after ``limit`` steps without anything new."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        place = self._where(info)
        if place != self._place or info["x_pos"] > self._best:
            self._place, self._best, self._stalled = place, info["x_pos"], 0
        else:
            self._stalled += 1
        stalled = self._stalled >= self._limit and not terminated
        if stalled:
            reward = float(reward) + self._paid(info)
        return observation, reward, terminated, truncated or stalled, info

    def _paid(self, info: dict[str, Any]) -> float:
        """What a stall adds to the reward; ``info`` says so among its parts."""
        reward: RewardFunction | None = getattr(self.unwrapped, "reward_function", None)
        paid = 0.0
        if reward is not None:
            for stall in reward.stalls:
                info["reward_parts"][stall.name] += float(stall.penalty)
                paid += float(reward.scale) * float(stall.penalty)
        return paid

    def save_context(self) -> tuple[Any, ...]:
        """Level and area, best x, steps without anything new."""
        return self._place, self._best, self._stalled

    def load_context(self, values: tuple[Any, ...]) -> None:
        """Go on from :meth:`save_context`."""
        self._place, self._best, self._stalled = values

    def snapshot_arguments(self) -> dict[str, Any]:
        """Nothing: when an episode ends is not what a moment of it is."""
        return {}

    @staticmethod
    def _where(info: dict[str, Any]) -> tuple[str, int]:
        return info["level"], info["area"]
