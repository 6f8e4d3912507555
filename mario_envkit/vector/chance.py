"""Chance in a vector is that of single environments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import gymnasium
import numpy as np
from gymnasium.wrappers import StickyAction
from numpy.typing import NDArray

from mario_envkit.wrappers.observation import draw_blank

if TYPE_CHECKING:
    from mario_envkit.vector.pool import GamePool, Unfinished

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


class Blanks:
    """Blank observations, as :class:`~mario_envkit.wrappers.BlankObservation` under a frame stack.

    Args:
        chances: the environments whose random numbers are drawn.
        probability: of a blank observation.
        stacked: whether observations are stacks.
    """

    def __init__(
        self, chances: Sequence[gymnasium.Env[Any, Any]], probability: float, *, stacked: bool
    ) -> None:
        self._chances, self._probability, self._stacked = chances, probability, stacked

    def draw(self, env: int) -> bool:
        """Whether the next observation of a game is blank."""
        return draw_blank(self._chances[env].np_random, self._probability)

    def hide(self, pool: GamePool, observations: NDArray[np.uint8], unfinished: Unfinished) -> None:
        """Let some of those that the pool has just written be blank, there too.

        Args:
            pool: has carried out orders.
            observations: ``(num_envs, ...)``.
            unfinished: games whose resets go on.
        """
        started, stepped = pool.ordered()
        seen = started | stepped
        seen[[env for env, _ in unfinished]] = False
        for env in seen.nonzero()[0].tolist():
            if self.draw(env):
                whole = started[env] or not self._stacked
                observations[env, ... if whole else -1] = 0
                pool.show(env, observations[env])


def chances_of(
    num_envs: int, options: Mapping[str, Any]
) -> tuple[list[gymnasium.Env[Any, Any]], Sticky | None, Blanks | None]:
    """A :class:`Chance` for each environment; the sticky actions around each, and the blank
    observations of all, if there are any.

    Args:
        num_envs: how many.
        options: all keyword arguments of an environment.
    """
    chances: list[gymnasium.Env[Any, Any]] = [Chance() for _ in range(num_envs)]
    again, blank = options["repeat_action_probability"], options["blank_probability"]
    sticky = [StickyAction(chance, again) for chance in chances] if again else None
    stacked = options["frame_stack"] > 1
    return chances, sticky, Blanks(chances, blank, stacked=stacked) if blank else None
