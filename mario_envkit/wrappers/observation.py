"""Wrappers around what the agent sees."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs

from mario_envkit.arguments import as_env, as_float, not_possible


def draw_blank(rng: np.random.Generator, probability: float) -> bool:
    """Whether an observation is blank."""
    return bool(rng.random() < probability)


class BlankObservation(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Show nothing, an observation of zeros, now and then.

    The flickering games of Hausknecht and Stone, "Deep Recurrent Q-Learning for Partially
    Observable MDPs" (2015, section 5): who is to play them has to remember what was seen before.

    Args:
        env: an environment whose observations are arrays.
        blank_probability: chance that an observation, that of a reset too, is blank; drawn from the
            environment's seed.

    Raises:
        OptionError: for arguments that are not possible.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], blank_probability: float = 0.5) -> None:
        chance = as_float("blank_probability", blank_probability, least=0, below=1)
        if not isinstance(as_env("env", env).observation_space, spaces.Box):
            raise not_possible("env", env, "an environment with a Box observation space")
        RecordConstructorArgs.__init__(self, blank_probability=chance)
        super().__init__(env)
        self._chance = chance

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset; perhaps nothing is seen of it."""
        observation, info = self.env.reset(seed=seed, options=options)
        return self._seen(observation), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step; perhaps nothing is seen of it."""
        observation, *rest = self.env.step(action)
        return self._seen(observation), *rest

    def _seen(self, observation: Any) -> Any:
        blank = draw_blank(self.np_random, self._chance)
        return np.zeros_like(observation) if blank else observation

    def save_context(self) -> tuple[()]:
        """Nothing is remembered."""
        return ()

    def load_context(self, values: tuple[()]) -> None:
        """Nothing to remember."""

    def snapshot_arguments(self) -> dict[str, Any]:
        """Nothing: how often nothing will be seen is not what a moment is."""
        return {}
