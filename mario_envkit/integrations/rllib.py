"""RLlib: its networks take float observations with channels last.

::

    from mario_envkit.integrations.rllib import RLlibEnv

    config = PPOConfig().environment(RLlibEnv, env_config={"id": "MarioTrain-v0", "level": "1-1"})

Needs nothing of RLlib itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

import mario_envkit  # noqa: F401 - registers the ids, in RLlib's workers too
from mario_envkit.arguments import not_possible
from mario_envkit.emulator.protocol import RAM_SIZE
from mario_envkit.errors import OptionError


class RLlibEnv(gymnasium.ObservationWrapper[NDArray[np.float32], Any, Any]):
    """An environment of ours with observations ``(height, width, channels)`` float32, 0 to 1.

    The pictures of a stack, each with its colours, are the channels; tiles are taken as pictures
    too. With "ram" observations are ``(stack * 2048,)``.

    Args:
        config: keyword arguments of ``gymnasium.make``, and its ``id`` ("MarioTrain-v0" if left
            out); what RLlib's ``env_config`` holds.

    Raises:
        OptionError: if it is no such dictionary.
        MarioEnvkitError: a subclass that names the argument that is wrong, and what to do.
    """

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        if not isinstance(config, (Mapping, type(None))):
            raise not_possible("config", config, "a dictionary with 'id' and keyword arguments")
        kwargs = {"id": "MarioTrain-v0", **(config or {})}
        env = gymnasium.make(kwargs.pop("id"), **kwargs)
        if env.observation_space.dtype != np.uint8:
            raise OptionError(
                f"The observations of {env} are not bytes, as ours are; use it as it is."
            )
        super().__init__(env)
        empty = self.observation(np.zeros(env.observation_space.shape or (), np.uint8))
        self.observation_space = Box(0.0, 1.0, empty.shape, np.float32)

    def observation(self, observation: NDArray[np.uint8]) -> NDArray[np.float32]:
        """``observation`` as RLlib takes it."""
        if observation.ndim == 4:  # stack, height, width, colours
            height, width = observation.shape[1:3]
            observation = observation.transpose(1, 2, 0, 3).reshape(height, width, -1)
        elif observation.ndim == 3 and observation.shape[-1] != 3:  # stack, height, width
            observation = observation.transpose(1, 2, 0)
        elif observation.ndim == 2 and observation.shape[-1] == RAM_SIZE:
            observation = observation.reshape(-1)
        elif observation.ndim == 2:
            observation = observation[:, :, None]
        return np.divide(observation, 255, dtype=np.float32)
