"""What kind of environment a snapshot is of: all that shapes observations, actions and rewards.

A snapshot goes back into an environment whose pictures, actions and rewards are those that it was
taken with; with others the frames of its stack are not this environment's, and what its reward
remembers means something else. So it carries these arguments, and they are compared.

What may differ, because a restored moment means the same whatever it is:

* how an episode begins: the level that is asked for, ``noop_max``;
* when it ends: ``stall_limit`` and time limits; the steps counted until then are restored, and
  the limits are those of the environment;
* which places a reward pays for, or whatever a dataclass says is not of the kind: a field with the
  metadata ``{"of_kind": False}``;
* how likely a sticky action is: like the agent, that decides what is played next, not what a
  moment is. (With sticky actions or a limit in the one and none in the other there is a layer more
  that remembers something; that is a difference.)
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from enum import Enum
from hashlib import sha256
from typing import Any, TypeAlias

import gymnasium
import numpy as np
from gymnasium import wrappers as gym

from mario_envkit.wrappers import StickyAction

Kind: TypeAlias = tuple[tuple[str, str], ...]
"""Names of arguments and their values as text, the game's first, then the wrappers' outwards."""

_MAY_DIFFER: dict[type, frozenset[str]] = {
    gym.TimeLimit: frozenset({"max_episode_steps"}),
    **dict.fromkeys((gym.StickyAction, StickyAction), frozenset({"repeat_action_probability"})),
}
_KEYWORDS = {(gym.FrameStackObservation, "stack_size"): "frame_stack"}
"""Arguments that have another name where an environment is made."""

_DEPTH = 8  # of objects in objects; nobody composes rewards deeper than that


def arguments_of(layer: Any) -> list[tuple[str, str]]:
    """The arguments of an environment or wrapper that a snapshot must have in common with it.

    It says them itself (``snapshot_arguments()``, a mapping), or has recorded those of its
    constructor as Gymnasium's wrappers do (``RecordConstructorArgs``), or is taken to have none.
    """
    kind = type(layer)
    if hasattr(kind, "snapshot_arguments"):
        own: Mapping[str, Any] = layer.snapshot_arguments()
        return [(name, described(value)) for name, value in own.items()]
    recorded: Mapping[str, Any] = getattr(layer, "_saved_kwargs", {})
    free = _MAY_DIFFER.get(kind, frozenset())
    return [
        (_KEYWORDS.get((kind, name), f"{kind.__name__}.{name}"), described(value))
        for name, value in recorded.items()
        if name not in free
    ]


def differences(theirs: Iterable[tuple[str, str]], ours: Iterable[tuple[str, str]]) -> list[str]:
    """What differs, as texts like ``frame_skip=4 there and 2 here``.

    Layers of one class have their values side by side, from the game outwards.
    """
    there, here = _by_name(theirs), _by_name(ours)
    return [
        f"{name}={there.get(name, 'not given')} there and {here.get(name, 'not given')} here"
        for name in {**here, **there}
        if there.get(name) != here.get(name)
    ]


def _by_name(kind: Iterable[tuple[str, str]]) -> dict[str, str]:
    values: dict[str, list[str]] = {}
    for name, value in kind:
        values.setdefault(name, []).append(value)
    return {name: ", ".join(each) for name, each in values.items()}


def described(value: Any, depth: int = 0) -> str:
    """``value`` as a text that is the same in every process, and another for another value."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # 1.0 is what 1 is
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return repr(value)
    if isinstance(value, np.ndarray):
        digest = sha256(np.ascontiguousarray(value).tobytes()).hexdigest()[:12]
        return f"array({value.shape}, {value.dtype}, {digest})"
    if isinstance(value, (gymnasium.Space, np.dtype, Enum)):
        return str(value)
    if isinstance(value, os.PathLike):
        return repr(os.fspath(value))
    if depth == _DEPTH:
        return type(value).__qualname__
    if isinstance(value, (tuple, list)):
        return f"({', '.join(described(item, depth + 1) for item in value)})"
    if isinstance(value, Mapping):
        return f"{{{_pairs(value.items(), depth)}}}"
    name: str | None = getattr(value, "__qualname__", None)  # functions and classes
    return name or f"{type(value).__qualname__}({_pairs(_fields(value), depth)})"


def _pairs(items: Iterable[tuple[Any, Any]], depth: int) -> str:
    return ", ".join(f"{name}={described(value, depth + 1)}" for name, value in items)


def _fields(value: Any) -> list[tuple[str, Any]]:
    """What an object is made of, by name."""
    if dataclasses.is_dataclass(value):
        fields = [each for each in dataclasses.fields(value) if each.metadata.get("of_kind", True)]
        return [(each.name, getattr(value, each.name)) for each in fields]
    return sorted(getattr(value, "__dict__", {}).items())
