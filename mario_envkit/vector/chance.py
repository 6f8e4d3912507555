"""Chance in a vector is that of single environments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from gymnasium.wrappers import StickyAction
from numpy.typing import NDArray

from mario_envkit.vector.options import parse_actions
from mario_envkit.wrappers.action import draw_sticky_frames
from mario_envkit.wrappers.observation import draw_blank

if TYPE_CHECKING:
    from mario_envkit.vector.pool import GamePool, Unfinished


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


class StickyFrames:
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
        stuck = np.array(
            [
                0 if skip else draw_sticky_frames(game.np_random, self._frames, self._probability)
                for game, skip in zip(self._chances, over.tolist(), strict=True)
            ],
            np.int32,
        )
        ordered = buttons | self.held << 8 | stuck << 16
        self.held = np.where(over | (stuck == self._frames), self.held, buttons)
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


class Chances:
    """All chance of a vector's games.

    Args:
        num_envs: how many.
        options: all keyword arguments of an environment.
        joypad: ``(actions,)``, the joypad byte of each action.

    Attributes:
        games: an environment for each game, whose ``np_random`` it draws from.
        sticky_actions: the layers around these that repeat actions, or None.
        sticky_frames: what lets frames see the buttons of the frame before, or None.
        blanks: what hides observations, or None.
    """

    def __init__(
        self, num_envs: int, options: Mapping[str, Any], joypad: NDArray[np.int32]
    ) -> None:
        self.games: list[gymnasium.Env[Any, Any]] = [Chance() for _ in range(num_envs)]
        self._joypad = joypad
        again, blank = options["repeat_action_probability"], options["blank_probability"]
        each = again if isinstance(again, tuple) else [again] * num_envs
        self.sticky_actions = (
            [StickyAction(*pair) for pair in zip(self.games, each, strict=True)] if again else None
        )
        stacked, frame = options["frame_stack"] > 1, options["repeat_frame_probability"]
        self.sticky_frames = (
            StickyFrames(self.games, options["frame_skip"], frame) if frame else None
        )
        self.blanks = Blanks(self.games, blank, stacked=stacked) if blank else None

    def reset(self, env: int, seed: int | None) -> None:
        """A game's episode ends: the next one repeats nothing of it. Seed it, if there is one."""
        (self.sticky_actions or self.games)[env].reset(seed=seed)

    def release(self, env: int) -> None:
        """Nothing is held at the start of a game's episode."""
        if self.sticky_frames is not None:
            self.sticky_frames.held[env] = 0

    def order(self, actions: Any, over: NDArray[np.bool_]) -> NDArray[np.int32]:
        """What the native core takes for a step in which somebody asks for ``actions``
        ``(num_envs,)``; nothing is drawn for games that are ``over``.

        Raises:
            OptionError: for actions that do not exist.
        """
        asked = parse_actions(actions, len(self.games), len(self._joypad))
        if self.sticky_actions is not None:
            asked = _repeated(self.sticky_actions, asked, over)
        buttons: NDArray[np.int32] = self._joypad[asked]
        if self.sticky_frames is not None:
            buttons = self.sticky_frames.order(buttons, over)
        return buttons

    def hide(self, pool: GamePool, observations: NDArray[np.uint8], unfinished: Unfinished) -> None:
        """See :meth:`Blanks.hide`."""
        if self.blanks is not None:
            self.blanks.hide(pool, observations, unfinished)


def _repeated(
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
