"""Begins episodes where a ``StartStates`` wants them to begin."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, TypeAlias

import gymnasium
import numpy as np

from mario_envkit.curriculum.start_states import Start, StartStates
from mario_envkit.errors import OptionError
from mario_envkit.game.levels import Level
from mario_envkit.game.start import StartPoint
from mario_envkit.snapshots.context import Context
from mario_envkit.snapshots.handler import SnapshotHandler

Begun: TypeAlias = tuple[Any, dict[str, Any]]
"""Observation and info."""

_STREAM = 0x57A27  # apart from the environment's own random numbers of the same seed


class EpisodeStarts:
    """The host of a :class:`~mario_envkit.curriculum.start_states.StartStates`.

    Its random numbers are a stream of their own: restores may bring back those of the environment.

    Args:
        env: a game in wrappers.
        handler: whose archive holds snapshots of such environments.
        states: who chooses; if it has ``attach(game)``, that is called with the game.

    Raises:
        OptionError: if the actions are not those of a ``Discrete`` space.
    """

    NOT_REMEMBERED = "_env", "_handler", "_context", "_actions", "states"

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        handler: SnapshotHandler,
        states: StartStates,
    ) -> None:
        self._env, self._handler, self.states = env, handler, states
        self._context = Context(env)
        self._actions = _harmless_actions(env)
        self._rng = np.random.default_rng()
        attach = getattr(states, "attach", None)
        if attach is not None:
            attach(env.unwrapped)

    def seed(self, seed: int) -> None:
        """Begin anew, with random numbers that ``seed`` decides."""
        self._rng = np.random.default_rng([_STREAM, seed])
        self.states.forget()

    def choose(self, level: Level | None) -> Start | None:
        """The start of the next episode in ``level``; None is the true one."""
        archived = [entry for entry in self._handler.archive if entry.level == level]
        return self.states.choose(level, archived, self._rng)

    def begin(self, start: Start) -> Begun:
        """Go there; observation and info, after the random actions."""
        observation, info = self._go_to(start)
        for _ in range(start.jitter):
            action = self._actions[int(self._rng.random() * len(self._actions))]
            observation, _, terminated, truncated, info = self._env.step(action)
            if terminated or truncated or info["life_lost"]:
                return self._go_to(start)
        return observation, info

    def _go_to(self, start: Start) -> Begun:
        if isinstance(start.origin, StartPoint):
            return self._env.reset(options={"start": start.origin})
        entry = start.origin
        self._handler.begun_at(entry)
        self._context.load(entry.saved, noise=False)  # each attempt has its own luck
        return entry.observation.copy(), deepcopy(entry.info)


def name_of(start: Start | None) -> str:
    """What the infos call a start: "true", "archive" or "run"."""
    if start is None:
        return "true"
    return "run" if isinstance(start.origin, StartPoint) else "archive"


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
