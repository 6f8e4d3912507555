"""Chance in a vector is that of single environments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import gymnasium
import numpy as np
from gymnasium.wrappers import StickyAction
from numpy.typing import NDArray

from mario_envkit.wrappers.action import draw_late_frames
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


class LateFrames:
    """Sticky frames, as of :class:`~mario_envkit.wrappers.FrameSkip`.

    Args:
        chances: the environments whose random numbers are drawn.
        frames: of a step.
        probability: that a frame sees the buttons of the frame before.

    Attributes:
        held: ``(num_envs,)``, the joypad byte that each game has seen last.
    """

    def __init__(
        self, chances: Sequence[gymnasium.Env[Any, Any]], frames: int, probability: float
    ) -> None:
        self._chances, self._frames, self._probability = chances, frames, probability
        self.held = np.zeros(len(chances), np.int32)

    def order(self, buttons: NDArray[np.int32], over: NDArray[np.bool_]) -> NDArray[np.int32]:
        """What the native core takes for a step: the joypad byte, the one before, and for how many
        frames that is still seen; ``buttons`` are ``(num_envs,)``, and nothing is drawn for games
        that are ``over``."""
        late = np.array(
            [
                0 if skip else draw_late_frames(game.np_random, self._frames, self._probability)
                for game, skip in zip(self._chances, over.tolist(), strict=True)
            ],
            np.int32,
        )
        ordered = buttons | self.held << 8 | late << 16
        self.held = np.where(over | (late == self._frames), self.held, buttons)
        return ordered.astype(np.int32, copy=False)


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
) -> tuple[list[gymnasium.Env[Any, Any]], Sticky | None, LateFrames | None, Blanks | None]:
    """A :class:`Chance` for each environment; the sticky actions around each, the sticky frames and
    the blank observations of all, if there are any.

    Args:
        num_envs: how many.
        options: all keyword arguments of an environment.
    """
    chances: list[gymnasium.Env[Any, Any]] = [Chance() for _ in range(num_envs)]
    again, blank = options["repeat_action_probability"], options["blank_probability"]
    each = again if isinstance(again, tuple) else [again] * num_envs
    sticky = [StickyAction(*pair) for pair in zip(chances, each, strict=True)] if again else None
    stacked, frame = options["frame_stack"] > 1, options["repeat_frame_probability"]
    late = LateFrames(chances, options["frame_skip"], frame) if frame else None
    return chances, sticky, late, Blanks(chances, blank, stacked=stacked) if blank else None
