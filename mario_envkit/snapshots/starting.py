"""Begins episodes where a ``StartStates`` wants them to begin."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from mario_envkit.curriculum.start_states import Start, StartStates
from mario_envkit.env import MarioEnv
from mario_envkit.errors import OptionError
from mario_envkit.game.start import StartPoint
from mario_envkit.snapshots.handler import SnapshotHandler

_STREAM = 0x57A27  # apart from the environment's own random numbers of the same seed


class EpisodeStarts:
    """The host of a :class:`~mario_envkit.curriculum.start_states.StartStates`.

    Its random numbers are a stream of their own: restores bring back those of the environment.

    Args:
        env: a game in wrappers.
        handler: of its snapshots.
        states: who chooses; if it has ``attach(game)``, that is called with the game.

    Raises:
        OptionError: if the actions are not those of a ``Discrete`` space.
    """

    def __init__(
        self, env: gymnasium.Env[Any, Any], handler: SnapshotHandler, states: StartStates
    ) -> None:
        self.states = states
        self._env, self._handler = env, handler
        self._game: MarioEnv = env.unwrapped  # type: ignore[assignment]
        self._actions = _harmless_actions(env)
        self._rng = np.random.default_rng()
        attach = getattr(states, "attach", None)
        if attach is not None:
            attach(self._game)

    def seed(self, seed: int) -> None:
        """Begin anew, with random numbers that ``seed`` decides."""
        self._rng = np.random.default_rng([_STREAM, seed])
        self.states.forget()

    def begin(self) -> tuple[Any, dict[str, Any], Start] | None:
        """Go to the start of an episode, the environment having been reset.

        Returns:
            Observation, info and start; None if the episode is to begin where it is.
        """
        level = self._game.level
        archived = [entry for entry in self._handler.archive if entry.level == level]
        start = self.states.choose(level, archived, self._rng)
        if start is None:
            return None
        observation, info = self._go_to(start)
        for _ in range(start.jitter):
            action = self._actions[int(self._rng.random() * len(self._actions))]
            observation, _, terminated, truncated, info = self._env.step(action)
            if terminated or truncated or info["life_lost"]:
                return *self._go_to(start), start
        return observation, info, start

    def _go_to(self, start: Start) -> tuple[Any, dict[str, Any]]:
        if isinstance(start.origin, StartPoint):
            return self._env.reset(options={"start": start.origin})
        return self._handler.load(start.origin)


def _harmless_actions(env: gymnasium.Env[Any, Any]) -> list[int]:
    """Actions for random play: those that press neither START, which pauses, nor SELECT."""
    if not isinstance(env.action_space, gymnasium.spaces.Discrete):
        raise OptionError(
            f"Start states need Discrete actions, not {env.action_space}; put the wrapper that "
            "changes them around the snapshots."
        )
    meanings = env.get_wrapper_attr("get_action_meanings")()
    return [
        action for action, buttons in enumerate(meanings)
        if not {"START", "SELECT"} & set(buttons.split("+"))
    ]  # fmt: skip
