"""Chance in a vector is that of single environments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import gymnasium
import numpy as np
from gymnasium.wrappers import StickyAction
from numpy.typing import NDArray

Sticky: TypeAlias = "list[StickyAction[Any, Any]]"


class Chance(gymnasium.Env[Any, Any]):
    """The random numbers of one environment, drawn as a single environment draws them.

    An environment without a game, so that Gymnasium's own seeding and wrappers serve a vector too.
    """

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Seed the generator, if there is a seed."""
        super().reset(seed=seed)
        return None, {}


def chances_of(
    num_envs: int, repeat_action_probability: float
) -> tuple[list[gymnasium.Env[Any, Any]], Sticky | None]:
    """A :class:`Chance` for each environment, and the sticky actions around each if there are."""
    chances: list[gymnasium.Env[Any, Any]] = [Chance() for _ in range(num_envs)]
    if not repeat_action_probability:
        return chances, None
    return chances, [StickyAction(chance, repeat_action_probability) for chance in chances]


def repeated(
    sticky: Sequence[StickyAction[Any, Any]],
    actions: NDArray[np.integer[Any]],
    over: NDArray[np.bool_],
) -> NDArray[np.integer[Any]]:
    """The actions that are taken: these or, where an episode goes on, by chance the ones before."""
    return np.array(
        [
            action if skip else layer.action(action)
            for layer, action, skip in zip(sticky, actions.tolist(), over.tolist(), strict=True)
        ]
    )
