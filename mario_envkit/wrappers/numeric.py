"""Infos of numbers only, for what stores or batches them."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils import RecordConstructorArgs

from mario_envkit.arguments import as_env
from mario_envkit.game.endings import DEATH_CAUSES, ENDINGS
from mario_envkit.game.state import STATUS_NAMES

START_NAMES = ("", "true", "archive", "run")
"""``info["start"]``, see :mod:`mario_envkit.curriculum.start_states`; "" where nothing is said."""

CODES: dict[str, tuple[str, ...]] = {
    "status": STATUS_NAMES,
    "death_cause": DEATH_CAUSES,
    "ending": ENDINGS,
    "start": START_NAMES,
}
"""Which texts become integers: the place of the text in this tuple."""


def numbers_of(info: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """``info`` as arrays of int64, float64 or bool, without axes where it had numbers.

    Texts become integers (:data:`CODES`); ``level`` is left out, as ``world`` and ``stage`` say it;
    a dictionary within becomes keys like ``reward_parts_distance``.
    """
    numbers: dict[str, Any] = {}
    for key, value in info.items():
        if isinstance(value, dict):
            numbers.update(numbers_of(value, f"{prefix}{key}_"))
        elif key in CODES:
            numbers[prefix + key] = np.array(CODES[key].index(value) if value else 0, np.int64)
        elif isinstance(value, np.ndarray):
            numbers[prefix + key] = value
        elif not isinstance(value, str):
            numbers[prefix + key] = np.array(value, np.int64 if type(value) is int else None)
    return numbers


class NumericInfo(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Infos as :func:`numbers_of` makes them; goes around all wrappers that read infos.

    Args:
        env: an environment of ours.

    Raises:
        OptionError: if it is no environment.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        RecordConstructorArgs.__init__(self)
        super().__init__(as_env("env", env))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset; the info as numbers."""
        observation, info = self.env.reset(seed=seed, options=options)
        return observation, numbers_of(info)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step; the info as numbers."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, reward, terminated, truncated, numbers_of(info)

    def save_context(self) -> tuple[()]:
        """Nothing is remembered."""
        return ()

    def load_context(self, values: tuple[()]) -> None:
        """Nothing to remember."""
