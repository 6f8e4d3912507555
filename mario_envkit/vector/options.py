"""Reading the arguments of the vector environment."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from mario_envkit.emulator import native
from mario_envkit.env import MarioEnv
from mario_envkit.errors import BackendUnavailable, OptionError
from mario_envkit.registration import make_mario


def check_native(backend: Any) -> None:
    """Check that the native core is there, and that no other backend was asked for.

    Raises:
        BackendUnavailable: if not.
    """
    if backend not in (None, "native"):
        raise BackendUnavailable(
            f"The vector environment runs on the native console only, not on backend={backend!r}; "
            "pass vectorization_mode='sync' or 'async' to gymnasium.make_vec for another."
        )
    if not native.is_available():
        raise BackendUnavailable(
            "The vector environment runs on the native console, which is not built here; install a "
            "C++17 compiler and reinstall mario-envkit, or pass vectorization_mode='sync' to "
            "gymnasium.make_vec."
        )


def with_defaults(kwargs: dict[str, Any]) -> dict[str, Any]:
    """All options of an environment, those left out with the values they have then."""
    options: dict[str, Any] = {}
    for source in (MarioEnv, make_mario):
        for name, parameter in inspect.signature(source).parameters.items():
            if parameter.default is not parameter.empty:
                options[name] = parameter.default
    return {**options, **kwargs}


def at_least_one(name: str, value: int) -> int:
    """``value`` as an int.

    Raises:
        OptionError: if it is not a positive integer.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise OptionError(f"{name}={value!r} is not possible; give 1 or more.")
    return int(value)


def parse_autoreset_mode(mode: str | AutoresetMode) -> AutoresetMode:
    """Gymnasium's mode, or its name ("NextStep", "SameStep", "Disabled").

    Raises:
        OptionError: for anything else.
    """
    try:
        return AutoresetMode(mode)
    except ValueError:
        raise OptionError(
            f"autoreset_mode={mode!r} does not exist; choose one of "
            f"{', '.join(known.value for known in AutoresetMode)}."
        ) from None


def parse_mask(mask: Any, num_envs: int) -> NDArray[np.bool_]:
    """``options["reset_mask"]`` of a reset; None names all environments.

    Raises:
        OptionError: if it is no ``(num_envs,)`` array of bool with a True in it.
    """
    if mask is None:
        return np.ones(num_envs, np.bool_)
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        raise OptionError(f"options['reset_mask']={mask!r} is not possible; give an array of bool.")
    if mask.shape != (num_envs,) or not mask.any():
        raise OptionError(
            f"options['reset_mask']={mask!r} is not possible; give an array of shape "
            f"({num_envs},) with at least one True."
        )
    return mask


def parse_seeds(seed: int | Sequence[int | None] | None, num_envs: int) -> Sequence[int | None]:
    """A seed for each environment, as Gymnasium's vector environments give them out.

    Raises:
        OptionError: if there are not as many as environments.
    """
    if seed is None:
        return [None] * num_envs
    if isinstance(seed, (int, np.integer)):
        return [int(seed) + i for i in range(num_envs)]
    if len(seed) != num_envs:
        raise OptionError(
            f"There are {len(seed)} seeds for {num_envs} environments; give one for each."
        )
    return seed


def lightened(space: gymnasium.Space[Any]) -> gymnasium.Space[Any]:
    """The same space with one number for all of its bounds.

    Gymnasium's Box keeps four arrays of its own shape: four times an environment's observation.
    """
    for name in ("low", "high", "bounded_below", "bounded_above"):
        bounds = getattr(space, name)
        setattr(space, name, np.broadcast_to(bounds.flat[0], bounds.shape))
    return space
