"""Wrappers around what the agent does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces, wrappers
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import NDArray

from mario_envkit.arguments import (
    MOST_FRAMES,
    as_bool,
    as_env,
    as_float,
    as_int,
    as_sequence,
    not_possible,
    whole_number,
)
from mario_envkit.game.actions import check_action, describe, plain_actions, resolve_actions


class ButtonActions(gymnasium.ActionWrapper[NDArray[np.uint8], Any, Any], RecordConstructorArgs):
    """A handful of named button combinations instead of the 256 joypad bytes.

    Args:
        env: an environment whose actions are joypad bytes.
        actions: "right_only", "simple", "complex", "right+A,noop", or ``[["right", "A"], []]``.

    Raises:
        OptionError: for unknown names.
    """

    def __init__(
        self, env: gymnasium.Env[Any, Any], actions: str | Sequence[Sequence[str]] = "simple"
    ) -> None:
        actions = plain_actions(actions)
        RecordConstructorArgs.__init__(self, actions=actions)
        super().__init__(as_env("env", env))
        self._bytes = resolve_actions(actions)
        self.action_space = spaces.Discrete(len(self._bytes))

    def action(self, action: Any) -> int:
        """The joypad byte of an action index.

        Raises:
            OptionError: if it is not an integer from 0 up to, not including, the number of actions.
        """
        return self._bytes[check_action(action, len(self._bytes))]

    def get_action_meanings(self) -> list[str]:
        """The buttons of every action, like "A+RIGHT"."""
        return [describe(byte) for byte in self._bytes]

    def get_keys_to_action(self) -> dict[tuple[int, ...], int]:
        """The keys of every action, for ``gymnasium.utils.play``; see :class:`MarioEnv`."""
        from mario_envkit.window import keys_to_action

        return keys_to_action(self._bytes)

    def save_context(self) -> tuple[()]:
        """Nothing is remembered."""
        return ()

    def load_context(self, values: tuple[()]) -> None:
        """Nothing to remember."""

    def snapshot_arguments(self) -> dict[str, Any]:
        """What a snapshot must have in common with this wrapper: the actions."""
        return {"actions": self.get_action_meanings()}


class StickyAction(wrappers.StickyAction[Any, Any]):
    """Gymnasium's, but an action that does not exist is an error where another is repeated, too.

    Args:
        env: an environment with a ``Discrete`` action space.
        repeat_action_probability, repeat_action_duration: see Gymnasium.

    Raises:
        OptionError: for arguments that are not possible.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        repeat_action_probability: float,
        repeat_action_duration: int | tuple[int, int] = 1,
    ) -> None:
        chance = as_float("repeat_action_probability", repeat_action_probability, least=0, below=1)
        space = as_env("env", env).action_space
        if not isinstance(space, spaces.Discrete):
            raise not_possible("env", env, "an environment with a Discrete action space")
        super().__init__(env, chance, _duration(repeat_action_duration))
        self._count = int(space.n)

    def action(self, action: Any) -> int:
        """The action to take: this one, or the one before.

        Raises:
            OptionError: if it does not exist.
        """
        taken: int = super().action(check_action(action, self._count))
        return taken

    def set_repeat_action_probability(self, probability: float) -> None:
        """Another chance, from the next step on; 0 is possible here, too.

        Raises:
            OptionError: if it is not from 0 up to, not including, 1.
        """
        name = "repeat_action_probability"
        self.repeat_action_probability = as_float(name, probability, least=0, below=1)


def _duration(duration: Any) -> int | tuple[int, int]:
    name, expected = "repeat_action_duration", "a number of steps, or (least, most)"
    if whole_number(duration) is not None:
        return as_int(name, duration, least=1, what="steps")
    steps = [as_int(name, n, least=1) for n in as_sequence(name, duration, expected)]
    if len(steps) != 2 or steps[0] > steps[1]:
        raise not_possible(name, duration, expected)
    return steps[0], steps[1]


def draw_sticky_frames(rng: np.random.Generator, frames: int, probability: float) -> int:
    """How many frames of a step still see the buttons of the frame before, 0 to ``frames``.

    In each frame they do with this probability, until one sees the new ones: these are those of the
    frame before from then on.
    """
    seen = np.flatnonzero(rng.random(frames) >= probability)
    return int(seen[0]) if len(seen) else frames


EVENTS = ("flag_get", "died", "life_lost", "snapshot_saved", "snapshot_restored")
"""Info keys that are true for one frame only, and must not get lost between two decisions."""


class FrameSkip(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Hold every action for ``skip`` frames; rewards add up.

    Unlike Gymnasium's ``MaxAndSkipObservation`` it draws only frames that are looked at (put it
    directly around the game, or around wrappers that do not look at skipped observations), can do
    without the maximum, keeps events that happen on skipped frames in the info (:data:`EVENTS`,
    ``death_cause``), and adds up ``reward_parts``.

    Args:
        env: a game of ours, or wrappers around one: its info is what is added up.
        skip: frames an action, 1 to 3600.
        max_pool: return the pixel-wise maximum of the last two observations, against flicker; an
            episode that ends on an earlier frame returns that frame's observation alone.
        repeat_frame_probability: chance in each frame that the game sees the buttons of the frame
            before instead (Machado et al. 2018, section 5.2); at first none are pressed. That needs
            an environment whose actions are numbered.

    Raises:
        OptionError: for arguments that are not possible.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        skip: int = 4,
        max_pool: bool = False,
        repeat_frame_probability: float = 0.0,
    ) -> None:
        skip = as_int("skip", skip, least=1, most=MOST_FRAMES, what="frames")
        max_pool = as_bool("max_pool", max_pool)
        chance = as_float("repeat_frame_probability", repeat_frame_probability, least=0, below=1)
        RecordConstructorArgs.__init__(
            self, skip=skip, max_pool=max_pool, repeat_frame_probability=chance
        )
        super().__init__(as_env("env", env))
        if chance and not isinstance(env.action_space, spaces.Discrete):
            raise not_possible("env", env, "an environment with a Discrete action space")
        self._skip, self._max_pool, self._chance = skip, max_pool, chance
        self._held = 0  # of use where frames are sticky
        self._first_drawn = skip - 2 if max_pool and skip > 1 else skip - 1
        # So that videos of this environment play at the speed of the game.
        self.metadata = {**env.metadata, "render_fps": env.metadata["render_fps"] / skip}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset; nothing is pressed any more."""
        self._held = 0
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Hold ``action``.

        Raises:
            OptionError: if it does not exist and frames are sticky; else the game says so.
            CallOrderError: while another thread steps or resets the game.
        """
        before, stuck = (action, 0) if not self._chance else self._stick(action)
        total = 0.0
        parts: dict[str, float] = {}
        events: dict[str, Any] = {}
        earlier = None
        game: Any = self.unwrapped
        game.step_lock.begin()  # nobody else gets in between two frames
        try:
            for frame in range(self._skip):
                game.draw = frame >= self._first_drawn
                observation, reward, terminated, truncated, info = self.env.step(
                    action if frame >= stuck else before
                )
                total += float(reward)
                for name, part in info["reward_parts"].items():
                    parts[name] = parts.get(name, 0.0) + part
                for name in EVENTS:
                    if info[name]:
                        events[name] = True
                if info["death_cause"]:
                    events["death_cause"] = info["death_cause"]
                if terminated or truncated:
                    break
                if frame == self._skip - 2 and self._first_drawn == frame:
                    earlier = observation
        finally:  # also where there was nothing to step
            game.draw = True
            game.step_lock.end()
        if earlier is not None and frame == self._skip - 1:
            observation = np.maximum(earlier, observation)
        info.update(events, reward_parts=parts)
        return observation, total, terminated, truncated, info

    def _stick(self, action: Any) -> tuple[int, int]:
        """What was held before, and for how many frames it still is; ``action`` is held then."""
        before, space = self._held, self.action_space
        action = check_action(action, int(space.n))  # type: ignore[attr-defined]
        stuck = draw_sticky_frames(self.np_random, self._skip, self._chance)
        if stuck < self._skip:
            self._held = action
        return before, stuck

    def save_context(self) -> tuple[int, ...]:
        """What is held, where frames are sticky."""
        return (self._held,) if self._chance else ()

    def load_context(self, values: tuple[int, ...]) -> None:
        """Go on from :meth:`save_context`."""
        (self._held,) = values or (0,)

    def snapshot_arguments(self) -> dict[str, Any]:
        """What a snapshot must have in common with this wrapper: not how sticky frames are."""
        sticky = {"sticky_frames": True} if self._chance else {}
        return {"frame_skip": self._skip, "max_pool": self._max_pool, **sticky}
