"""The whole state of an environment: the console, and what every layer around it remembers.

The game and our wrappers say themselves what they remember (``save_context`` and
``load_context``, a tuple of plain values); Gymnasium's wrappers, which cannot be asked, are
described here. A wrapper that is neither is an error: what it remembers would silently be wrong
after a restore.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import gymnasium
import numpy as np
from gymnasium import wrappers as gym
from numpy.typing import NDArray

from mario_envkit.emulator.snapshot import Snapshot
from mario_envkit.env import MarioEnv
from mario_envkit.errors import OptionError, SnapshotMismatch
from mario_envkit.wrappers import StickyAction

Values: TypeAlias = tuple[Any, ...]
"""Numbers, texts, None, uint8 arrays, and tuples of these."""


class HasContext(Protocol):
    """A layer that can be saved; implement it in wrappers of your own."""

    def save_context(self) -> Values:
        """What the layer remembers from step to step, as plain values."""

    def load_context(self, values: Values) -> None:
        """Remember ``values`` of :meth:`save_context` instead."""


@dataclass(frozen=True, slots=True)
class Saved:
    """An environment as a value.

    Attributes:
        console: the console.
        noise: the environment's random generator.
        layers: ``(class name, what it remembers)``, the game first, then the wrappers outwards.
    """

    console: Snapshot
    noise: Values
    layers: tuple[tuple[str, Values], ...]


class Restorable(Protocol):
    """An environment that the handler can save and restore: a :class:`Context`, or one of many."""

    @property
    def observation_space(self) -> gymnasium.Space[Any]:
        """What its observations are like."""

    @property
    def ram(self) -> NDArray[np.uint8]:
        """The console's work RAM."""

    def save(self) -> Saved:
        """See :meth:`Context.save`."""

    def load(self, saved: Saved, *, noise: bool = True) -> None:
        """See :meth:`Context.load`."""

    def check(self, saved: Saved) -> None:
        """See :meth:`Context.check`."""


def _save_stack(layer: Any) -> Values:
    # The queue holds copies that nobody writes to: sharing them costs no memory.
    return tuple(layer.obs_queue)


def _load_stack(layer: Any, values: Values) -> None:
    layer.obs_queue.extend(values)  # as many as it holds, so all it held fall out


def _attributes(*names: str) -> tuple[Callable[[Any], Values], Callable[[Any, Values], None]]:
    def save(layer: Any) -> Values:
        return tuple(getattr(layer, name) for name in names)

    def load(layer: Any, values: Values) -> None:
        for name, value in zip(names, values, strict=True):
            setattr(layer, name, value)

    return save, load


_sticky_save, load_sticky = _attributes(
    "last_action", "is_sticky_actions", "num_repeats", "repeats_taken"
)


def save_sticky(layer: Any) -> Values:
    """What a ``StickyAction`` remembers."""
    # Actions and counts can be NumPy integers.
    last, sticky, repeats, taken = _sticky_save(layer)
    return None if last is None else int(last), bool(sticky), int(repeats), int(taken)


_FOREIGN: dict[type, tuple[Callable[[Any], Values], Callable[[Any, Values], None]]] = {
    gym.FrameStackObservation: (_save_stack, _load_stack),
    **dict.fromkeys((gym.StickyAction, StickyAction), (save_sticky, load_sticky)),
    gym.TimeLimit: _attributes("_elapsed_steps"),
    **dict.fromkeys(
        (
            gym.ClipReward, gym.DtypeObservation, gym.FlattenObservation, gym.GrayscaleObservation,
            gym.OrderEnforcing, gym.PassiveEnvChecker, gym.RescaleObservation,
            gym.ReshapeObservation, gym.ResizeObservation,
        ),
        _attributes(),
    ),
}  # fmt: skip


class Context:
    """Saves and restores one environment.

    Args:
        env: a :class:`~mario_envkit.env.MarioEnv` in wrappers.

    Raises:
        OptionError: if a wrapper is not known, so that its state could not be restored.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        self.observation_space = env.observation_space
        layers: list[tuple[str, Callable[[], Values], Callable[[Values], None]]] = []
        while True:
            layers.append(_layer(env))
            if not isinstance(env, gymnasium.Wrapper):
                break
            env = env.env
        self._game: MarioEnv = env  # type: ignore[assignment]
        self._layers = layers[::-1]
        self.names = tuple(name for name, _, _ in self._layers)
        """Class names of the layers: the game, then the wrappers outwards."""
        self._terms = tuple(term.name for term in self._game.reward_function.terms)

    @property
    def core(self) -> str:
        """The console's core, as in ``Snapshot.core``."""
        return self._game.emulator.core

    @property
    def rom_sha256(self) -> str:
        """The cartridge."""
        return self._game.emulator.rom_sha256

    @property
    def ram(self) -> NDArray[np.uint8]:
        """The console's work RAM."""
        return self._game.emulator.ram

    def save(self) -> Saved:
        """The environment as it is, between two steps."""
        layers = tuple((name, save()) for name, save, _ in self._layers)
        return Saved(self._game.emulator.save(), save_noise(self._game.np_random), layers)

    def load(self, saved: Saved, *, noise: bool = True) -> None:
        """Become what was saved, random generator included unless ``noise`` is False.

        Raises:
            SnapshotMismatch: if it was saved from another console or other wrappers; nothing has
                changed then.
        """
        self.check(saved)
        self._game.emulator.load(saved.console)
        for (_, _, load), (_, values) in zip(self._layers, saved.layers, strict=True):
            load(values)
        if noise:
            load_noise(self._game.np_random, saved.noise)

    def check(self, saved: Saved) -> None:
        """Check that ``saved`` is of the same console and the same wrappers.

        Raises:
            SnapshotMismatch: if not.
        """
        saved.console.require(self.core, self.rom_sha256)
        theirs = tuple(name for name, _ in saved.layers)
        if self.names != theirs:
            raise SnapshotMismatch(
                f"The snapshot is of an environment of {' < '.join(theirs)} and this one is of "
                f"{' < '.join(self.names)}; build it with the same arguments."
            )
        *_, terms, _ = saved.layers[0][1]
        if terms != self._terms:
            raise SnapshotMismatch(
                f"The snapshot was taken with the reward {', '.join(terms)} and this environment "
                f"has {', '.join(self._terms)}; build it with the same reward."
            )


def _layer(env: Any) -> tuple[str, Callable[[], Values], Callable[[Values], None]]:
    kind = type(env)
    name = kind.__name__
    if hasattr(kind, "save_context") and hasattr(kind, "load_context"):
        own: HasContext = env
        return name, own.save_context, own.load_context
    if kind not in _FOREIGN:
        raise OptionError(
            f"The wrapper {name} is under the snapshots, and what it remembers could not be "
            "restored: put it around them, or give it save_context() and load_context()."
        )
    save, load = _FOREIGN[kind]
    return name, lambda: save(env), lambda values: load(env, values)


def save_noise(rng: np.random.Generator) -> Values:
    """A random generator as plain values."""
    state: Any = rng.bit_generator.state
    if state["bit_generator"] != "PCG64":
        raise OptionError(
            f"The environment's random generator is {state['bit_generator']}; snapshots know "
            "PCG64, the one that reset(seed=...) makes."
        )
    inner = state["state"]
    return inner["state"], inner["inc"], int(state["has_uint32"]), int(state["uinteger"])


def load_noise(rng: np.random.Generator, values: Values) -> None:
    """Go on from :func:`save_noise`."""
    state, increment, has_uint32, uinteger = values
    rng.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": state, "inc": increment},
        "has_uint32": has_uint32,
        "uinteger": uinteger,
    }
