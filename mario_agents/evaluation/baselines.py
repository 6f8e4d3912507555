"""Agents that have learned nothing, for every result to stand beside.

``mario-agents eval --agent random`` and ``--agent run-right`` measure them; they are also the
shortest examples of an agent of one's own, see :mod:`mario_agents.evaluation.agents`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from mario_envkit.errors import AgentError


class RandomAgent:
    """Any action, each as likely as the others.

    Args:
        action_space: what there is to choose from.
    """

    env_kwargs: ClassVar[dict[str, Any]] = {"observation": "tiles", "stall_limit": 150}

    def __init__(self, action_space: spaces.Discrete) -> None:
        self._actions = int(action_space.n)
        self._rng = np.random.default_rng(0)

    def act(self, observations: NDArray[Any]) -> NDArray[np.int64]:
        """The actions ``(num_envs,)`` of as many games."""
        return self._rng.integers(self._actions, size=len(observations))


class RunRightAgent:
    """Runs to the right and jumps, again and again, whatever there is to see.

    Its rhythm is the one of 14 that got farthest, with other seeds than the standard has, on the 24
    stages that the track of held-out ones is trained on.

    Args:
        action_space: that of its own two actions.

    Raises:
        AgentError: if it was given others.
    """

    env_kwargs: ClassVar[dict[str, Any]] = {
        "observation": "tiles",
        "actions": "right+B,right+A+B",
        "stall_limit": 150,
    }
    RUN, JUMP = 0, 1
    HELD, RELEASED = 6, 1
    """Agent steps for which the button of a jump is held, and then not."""

    def __init__(self, action_space: spaces.Discrete) -> None:
        if action_space.n != 2:
            raise AgentError("run-right has two actions of its own; leave out --actions.")
        self._step = 0

    def reset(self, num_envs: int) -> None:
        """Begin on the ground."""
        self._step = 0

    def act(self, observations: NDArray[Any]) -> NDArray[np.int64]:
        """The same action ``(num_envs,)`` for as many games."""
        jumps = self._step % (self.HELD + self.RELEASED) >= self.RELEASED
        self._step += 1
        return np.full(len(observations), self.JUMP if jumps else self.RUN, np.int64)


BASELINES: dict[str, Callable[..., Any]] = {"random": RandomAgent, "run-right": RunRightAgent}
"""By the names that the command line takes."""
