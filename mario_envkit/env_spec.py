"""What ``env.spec`` is, so that its JSON makes the same environment again."""

from __future__ import annotations

import os
from dataclasses import asdict, fields, is_dataclass
from enum import Enum
from typing import Any

import numpy as np
from gymnasium.envs.registration import EnvSpec, WrapperSpec

from mario_envkit.errors import OptionError
from mario_envkit.game.rewards import RewardFunction


class MarioSpec(EnvSpec):
    """Gymnasium's specification of an environment, whose JSON holds our arguments too.

    ``gymnasium.make(EnvSpec.from_json(env.spec.to_json()))`` makes the same environment: paths
    become texts, tuples lists, a reward function the dictionary that Gymnasium makes of it, and
    all ids take these. Objects that live in a process cannot be written.
    """

    @classmethod
    def of(cls, spec: EnvSpec) -> MarioSpec:
        """The same specification."""
        return cls(**{each.name: getattr(spec, each.name) for each in fields(spec) if each.init})

    def to_json(self) -> str:
        """The specification as JSON.

        Raises:
            OptionError: for an argument that JSON cannot hold; names it.
        """
        plain = MarioSpec.of(self)
        plain.kwargs = _plain_arguments(self.kwargs, self.id)
        plain.additional_wrappers = tuple(
            WrapperSpec(
                wrapper.name,
                wrapper.entry_point,
                None
                if wrapper.kwargs is None
                else _plain_arguments(wrapper.kwargs, f"{self.id}, {wrapper.name}"),
            )
            for wrapper in self.additional_wrappers
        )
        return EnvSpec.to_json(plain)


def _plain_arguments(kwargs: dict[str, Any], where: str) -> dict[str, Any]:
    written = {}
    for name, value in kwargs.items():
        try:
            written[name] = _plain(value)
        except TypeError as error:
            raise OptionError(
                f"{name}={value!r} of {where} cannot be written as JSON, for {error}: give a text, "
                "a number, a path, or lists of these instead, or make the environment again with "
                "the same arguments."
            ) from None
    return written


def _plain(value: Any) -> Any:
    """``value`` as JSON has it.

    Raises:
        TypeError: if it has no word for it.
    """
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, (np.bool_, np.integer, np.floating)):
        return value.item()
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, RewardFunction):
        for term in value.terms:
            if not is_dataclass(term):
                raise TypeError(f"its term {term!r} is not a dataclass")
        return _plain(asdict(value))
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    raise TypeError(f"JSON does not know {type(value).__name__}")
