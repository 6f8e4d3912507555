"""Environments from what a trainer's ``env_kwargs`` say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
from gymnasium.vector import AutoresetMode, VectorEnv

DEFAULT_ID = "mario_envkit:MarioTrain-v0"


def make_env(env_kwargs: Mapping[str, Any], **overrides: Any) -> gymnasium.Env[Any, Any]:
    """One environment.

    Args:
        env_kwargs: keyword arguments of ``gymnasium.make``; ``id`` names another environment than
            ``MarioTrain-v0``.
        overrides: win over ``env_kwargs``.

    Raises:
        MarioEnvkitError: if the arguments make no sense, or the game cannot be found.
    """
    kwargs = {"id": DEFAULT_ID, **env_kwargs, **overrides}
    return gymnasium.make(**kwargs)


def make_vector(
    env_kwargs: Mapping[str, Any], num_envs: int, **overrides: Any
) -> VectorEnv[Any, Any, Any]:
    """``num_envs`` environments in this process, stepped together, with SAME_STEP autoreset.

    Arguments and errors as in :func:`make_env`.
    """
    kwargs = {"id": DEFAULT_ID, **env_kwargs, **overrides}
    return gymnasium.make_vec(
        num_envs=num_envs,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
        **kwargs,
    )
