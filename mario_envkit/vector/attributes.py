"""What code written for Gymnasium's own vector environments asks them for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode, VectorEnv

from mario_envkit.env import MarioEnv
from mario_envkit.env_spec import MarioSpec
from mario_envkit.errors import AttributeUnavailable
from mario_envkit.game.levels import Level
from mario_envkit.vector.chance import Chances
from mario_envkit.vector.hooks import VectorHooks

_SHARED = (
    "action_space", "game", "get_action_meanings", "get_keys_to_action", "metadata",
    "observation_space", "picture", "render_mode",
)  # fmt: skip
"""Attributes and methods of a single environment that are the same in every game."""

_PYTHON_ONLY = (
    "env_fns", "envs", "call_async", "call_wait", "reset_async", "reset_wait", "observation_mode",
    "shared_memory", "processes",
)  # fmt: skip
"""What Gymnasium's vectors have because they are made of single environments or processes."""


class GameAttributes(VectorEnv[Any, Any, Any]):
    """``call``, ``get_attr`` and the attributes of ``gymnasium.vector.SyncVectorEnv``.

    The games are no Python objects: they can be asked for what is listed here, not changed.

    Attributes:
        autoreset_mode: when a finished episode begins anew; also in ``metadata``.
        copy: whether every step returns an array of its own.
        numeric_info: whether infos hold numbers only.
    """

    autoreset_mode: AutoresetMode
    copy: bool
    numeric_info: bool
    hooks: VectorHooks
    single: gymnasium.Env[Any, Any]
    _game: MarioEnv
    chances: Chances
    levels: list[Level | None]
    _spec: EnvSpec | None = None

    @property
    def spec(self) -> EnvSpec | None:
        """What ``gymnasium.make_vec`` made this of; None if something else made it."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        self._spec = None if spec is None else MarioSpec.of(spec)

    @property  # type: ignore[misc]
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """Each game's random generator."""
        return tuple(chance.np_random for chance in self.chances.games)

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        """The seed of each game's random generator, -1 where it is not known."""
        return tuple(chance.np_random_seed for chance in self.chances.games)

    def _own(self) -> dict[str, Callable[..., tuple[Any, ...]]]:
        """What the games can be asked for one by one."""
        return {
            "level": lambda: tuple(self.levels),
            "np_random": lambda: self.np_random,
            "np_random_seed": lambda: self.np_random_seed,
            "render": lambda: self.render() or (None,) * self.num_envs,
            **self.hooks.attributes(),
        }

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """What a method, or an attribute, of each game is.

        Args:
            name: "level", "np_random", "np_random_seed" or "render", of each game; with snapshots
                "get_stats", "handler", "total_saves" and "total_restores" too; or what all games
                have in common, such as "get_action_meanings".
            args, kwargs: of the method.

        Raises:
            AttributeUnavailable: for anything else.
        """
        own = self._own()
        if name in own:
            return own[name](*args, **kwargs)
        if name not in _SHARED or not self.single.has_wrapper_attr(name):
            raise AttributeUnavailable(
                f"The games of this vector are in the native core and have no {name!r}: ask for "
                f"one of {', '.join(sorted({*own, *_SHARED}))}, or pass vectorization_mode='sync' "
                "to gymnasium.make_vec."
            )
        found = self.single.get_wrapper_attr(name)
        return tuple(
            found(*args, **kwargs) if callable(found) else found for _ in range(self.num_envs)
        )

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """See :meth:`call`."""
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        """Not possible.

        Raises:
            AttributeUnavailable: always.
        """
        raise AttributeUnavailable(
            f"{name}={values!r} cannot be set: the games of this vector are in the native core; "
            "pass keyword arguments to gymnasium.make_vec, or vectorization_mode='sync'."
        )


class _Unavailable:
    """An attribute that there is none of, and a sentence that says so.

    Not by ``__getattr__``: with one, Python looks up every attribute in a slower way.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, envs: object, owner: type | None = None) -> NoReturn:
        raise AttributeUnavailable(
            f"This vector has no {self._name!r}: its games are in the native core, stepped "
            "together; ask with call() and get_attr(), or pass vectorization_mode='sync' or "
            "'async' to gymnasium.make_vec."
        )


for _name in _PYTHON_ONLY:
    setattr(GameAttributes, _name, _Unavailable(_name))
