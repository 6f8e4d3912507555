"""Reading the arguments of the vector environment."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from mario_envkit.arguments import (
    as_choice,
    as_seed,
    as_sequence,
    as_text,
    not_possible,
    plain,
)
from mario_envkit.curriculum.level_text import resolve_schedule
from mario_envkit.curriculum.schedule import ScheduledLevels
from mario_envkit.emulator import native
from mario_envkit.env import MarioEnv
from mario_envkit.errors import BackendUnavailable, OptionError
from mario_envkit.registration import is_for_each_game, make_mario, wrapper_options


def check_native(backend: Any) -> None:
    """Check that the native core is there, and that no other backend was asked for.

    Raises:
        BackendUnavailable: if not.
    """
    if backend is not None and as_text("backend", backend) != "native":
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


def check_no_window(render_mode: Any) -> None:
    """Check that no window was asked for.

    Raises:
        OptionError: if one was.
    """
    if isinstance(render_mode, str) and render_mode == "human":
        raise OptionError(
            "render_mode='human' is not possible for many games at once; choose 'rgb_array', or "
            "watch a single environment."
        )


def with_defaults(kwargs: dict[str, Any]) -> dict[str, Any]:
    """All options of an environment, those left out with the values they have then.

    Those of wrappers are checked, and plain values.

    Raises:
        OptionError: for one that makes no sense.
    """
    options: dict[str, Any] = {}
    for source in (MarioEnv, make_mario):
        for name, parameter in inspect.signature(source).parameters.items():
            if parameter.default is not parameter.empty:
                options[name] = parameter.default
    options.update(kwargs)
    of_wrappers = inspect.signature(wrapper_options).parameters
    return {**options, **wrapper_options(**{name: options[name] for name in of_wrappers})}


def for_single(kwargs: dict[str, Any], num_envs: int) -> dict[str, Any]:
    """Arguments of the one single environment that stands for all games: where they differ, those
    of the first.

    Raises:
        OptionError: if there are not as many values as games.
    """
    name = "repeat_action_probability"
    given: Any = kwargs.get(name)
    if not is_for_each_game(given):
        return kwargs
    expected = f"a number, or one for each of the {num_envs} games"
    if len(as_sequence(name, given, expected)) != num_envs:
        raise not_possible(name, given, expected)
    return {**kwargs, name: [given[0]]}


def parse_autoreset_mode(mode: str | AutoresetMode) -> AutoresetMode:
    """Gymnasium's mode, or its name ("NextStep", "SameStep", "Disabled").

    Raises:
        OptionError: for anything else.
    """
    if isinstance(mode, AutoresetMode):
        return mode
    names = [known.value for known in AutoresetMode]
    return AutoresetMode(as_choice("autoreset_mode", mode, names))


def parse_mask(mask: Any, num_envs: int) -> NDArray[np.bool_]:
    """``options["reset_mask"]`` of a reset; None names all environments.

    Raises:
        OptionError: if it is no ``(num_envs,)`` array of bool with a True in it.
    """
    if mask is None:
        return np.ones(num_envs, np.bool_)
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        raise not_possible("options['reset_mask']", mask, "an array of bool")
    if mask.shape != (num_envs,) or not mask.any():
        raise not_possible(
            "options['reset_mask']", mask, f"an array of shape ({num_envs},) with a True in it"
        )
    return mask


def parse_seeds(seed: int | Sequence[int | None] | None, num_envs: int) -> Sequence[int | None]:
    """A seed for each environment, as Gymnasium's vector environments give them out.

    Raises:
        OptionError: for seeds that are none, or not as many as environments.
    """
    if seed is None:
        return [None] * num_envs
    given = plain(seed)
    if isinstance(given, (int, float, str)):
        first = as_seed(given) or 0
        return [first + i for i in range(num_envs)]
    seeds = as_sequence("seed", given, "a whole number, 0 or more, or one for each environment")
    if len(seeds) != num_envs:
        raise OptionError(
            f"There are {len(seeds)} seeds for {num_envs} environments; give one for each."
        )
    return [as_seed(one, f"seed[{i}]") for i, one in enumerate(seeds)]


def parse_actions(actions: Any, num_envs: int, count: int) -> NDArray[np.integer[Any]]:
    """The actions of a step, ``(num_envs,)`` integers from 0 up to, not including, ``count``.

    Raises:
        OptionError: for anything else.
    """
    try:
        asked = np.asarray(actions)
    except (TypeError, ValueError) as error:
        raise OptionError(
            f"The actions cannot be made an array ({error}); give one integer for each of the "
            f"{num_envs} environments."
        ) from error
    if asked.shape != (num_envs,) or asked.dtype.kind not in "iu":
        raise OptionError(
            f"The actions have shape {asked.shape} and dtype {asked.dtype}; give one integer "
            f"for each of the {num_envs} environments."
        )
    # As unsigned numbers: negative ones are out of range too.
    if np.count_nonzero(asked.astype(np.uint64) >= count):
        raise OptionError(
            f"The actions {asked.tolist()} are not all possible; give 0 to {count - 1}."
        )
    return asked


def schedules_of(levels: Any, game: MarioEnv, num_envs: int) -> list[ScheduledLevels]:
    """The schedule of each environment: its own of ``levels``, or a copy of the game's.

    Raises:
        OptionError: if there are not as many levels as environments.
        LevelError: for one that the game does not have.
    """
    if levels is None:
        return [ScheduledLevels(deepcopy(game.schedule), game.game) for _ in range(num_envs)]
    expected = f"a level for each of the {num_envs} games, or one to all with level="
    each = as_sequence("levels", levels, expected)
    if len(each) != num_envs:
        raise not_possible("levels", levels, expected)
    return [ScheduledLevels(resolve_schedule(level, game.game), game.game) for level in each]


def lightened(space: gymnasium.Space[Any]) -> gymnasium.Space[Any]:
    """The same space with one number for all of its bounds.

    Gymnasium's Box keeps four arrays of its own shape: four times an environment's observation.
    """
    for name in ("low", "high", "bounded_below", "bounded_above"):
        bounds = getattr(space, name)
        setattr(space, name, np.broadcast_to(bounds.flat[0], bounds.shape))
    return space
