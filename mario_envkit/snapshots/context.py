"""The whole state of an environment: the console, and what every layer around it remembers.

The game and our wrappers say themselves what they remember (``save_context`` and
``load_context``, a tuple of plain values); Gymnasium's wrappers, which cannot be asked, are
described here. A wrapper that is neither is an error: what it remembers would silently be wrong
after a restore.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

import gymnasium
import numpy as np
from gymnasium import wrappers as gym
from numpy.typing import NDArray

from mario_envkit.emulator.snapshot import Snapshot
from mario_envkit.env import MarioEnv
from mario_envkit.errors import OptionError, SnapshotMismatch
from mario_envkit.game.levels import Level
from mario_envkit.snapshots.kind import Kind, arguments_of, differences
from mario_envkit.wrappers import NoopReset, StickyAction

Values: TypeAlias = tuple[Any, ...]
"""Numbers, texts, None, uint8 arrays, and tuples of these."""


class HasContext(Protocol):
    """A layer that can be saved; implement it in wrappers of your own."""

    def save_context(self) -> Values:
        """What the layer remembers from step to step, as plain values."""

    def load_context(self, values: Values) -> None:
        """Remember ``values`` of :meth:`save_context` instead."""

    # And, if its arguments shape observations, actions or rewards and it is no
    # gymnasium.utils.RecordConstructorArgs: snapshot_arguments(), these arguments by name.


@dataclass(frozen=True, slots=True)
class Saved:
    """An environment as a value.

    Attributes:
        console: the console.
        noise: the environment's random generator.
        layers: ``(class name, what it remembers)``, the game first, then the wrappers outwards.
        kind: the arguments that an environment must have for this to be loaded into it; without
            any it fits none.
    """

    console: Snapshot
    noise: Values
    layers: tuple[tuple[str, Values], ...]
    kind: Kind = ()


class Restorable(Protocol):
    """An environment that the handler can save and restore: a :class:`Context`, or one of many."""

    @property
    def observation_space(self) -> gymnasium.Space[Any]:
        """What its observations are like."""

    @property
    def level(self) -> Level | None:
        """The stage that its episode plays; None is the full game."""

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


@dataclass(frozen=True)
class _Attributes:
    """What a wrapper of Gymnasium's remembers, if that is what these attributes hold."""

    names: tuple[str, ...] = ()

    def save(self, layer: Any) -> Values:
        return tuple([getattr(layer, name) for name in self.names])

    def load(self, layer: Any, values: Values) -> None:
        for name, value in zip(self.names, values, strict=True):
            setattr(layer, name, value)


_STICKY = _Attributes(("last_action", "is_sticky_actions", "num_repeats", "repeats_taken"))
load_sticky = _STICKY.load
_ELAPSED, _NOTHING = _Attributes(("_elapsed_steps",)), _Attributes()


def save_sticky(layer: Any) -> Values:
    """What a ``StickyAction`` remembers."""
    # Actions and counts can be NumPy integers.
    last, sticky, repeats, taken = _STICKY.save(layer)
    return None if last is None else int(last), bool(sticky), int(repeats), int(taken)


class _Remembers(NamedTuple):
    """How what a layer remembers is read and written; module-level, so that it can be pickled."""

    save: Callable[[Any], Values]
    load: Callable[[Any, Values], None]


_FOREIGN: dict[type, _Remembers] = {
    gym.FrameStackObservation: _Remembers(_save_stack, _load_stack),
    **dict.fromkeys((gym.StickyAction, StickyAction), _Remembers(save_sticky, load_sticky)),
    gym.TimeLimit: _Remembers(_ELAPSED.save, _ELAPSED.load),
    **dict.fromkeys(
        (
            gym.ClipReward, gym.DtypeObservation, gym.FlattenObservation, gym.GrayscaleObservation,
            gym.RescaleObservation, gym.ReshapeObservation, gym.ResizeObservation,
        ),
        _Remembers(_NOTHING.save, _NOTHING.load),
    ),
}  # fmt: skip

_TRANSPARENT = (NoopReset, gym.OrderEnforcing, gym.PassiveEnvChecker)
"""Wrappers with which an episode goes on exactly as without them, and without a memory."""


class Context:
    """Saves and restores one environment.

    It holds the layers themselves, and asks them when it is asked: a copy of an environment with
    its context is then one of its own.

    Args:
        env: a :class:`~mario_envkit.env.MarioEnv` in wrappers.

    Raises:
        OptionError: if a wrapper is not known, so that its state could not be restored.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        self.observation_space = env.observation_space
        self._order: list[Any] = []
        layers: list[Any] = []
        while True:
            if isinstance(env, (gym.OrderEnforcing, gym.PassiveEnvChecker)):
                self._order.append(env)
            if type(env) not in _TRANSPARENT:
                layers.append(env)
            if not isinstance(env, gymnasium.Wrapper):
                break
            env = env.env
        self._game: MarioEnv = env  # type: ignore[assignment]
        layers.reverse()
        self._layers = [(type(layer).__name__, layer, *_remembers(layer)) for layer in layers]
        self.names = tuple(name for name, *_ in self._layers)
        """Class names of the layers that remember something: the game, then outwards."""
        self.kind: Kind = (
            *(argument for layer in layers for argument in arguments_of(layer)),
            ("wrappers", " < ".join(self.names)),
        )
        """What a snapshot must have in common with this environment."""

    @property
    def core(self) -> str:
        """The console's core, as in ``Snapshot.core``."""
        return self._game.emulator.core

    @property
    def rom_sha256(self) -> str:
        """The cartridge."""
        return self._game.emulator.rom_sha256

    @property
    def level(self) -> Level | None:
        """The stage of the episode; None is the full game."""
        return self._game.level

    @property
    def ram(self) -> NDArray[np.uint8]:
        """The console's work RAM."""
        return self._game.emulator.ram

    def observe(self) -> NDArray[np.uint8]:
        """What the game looks like, before any wrapper."""
        return self._game._observe()

    def save(self) -> Saved:
        """The environment as it is, between two steps."""
        with self._game.step_lock:
            layers = tuple([(name, save(layer)) for name, layer, save, _ in self._layers])
            console, noise = self._game.emulator.save(), save_noise(self._game.np_random)
        return Saved(console, noise, layers, self.kind)

    def load(self, saved: Saved, *, noise: bool = True) -> None:
        """Become what was saved, random generator included unless ``noise`` is False.

        Raises:
            SnapshotMismatch: if it was saved from another console or other wrappers, or with
                other arguments; nothing has changed then.
            CallOrderError: while another thread steps or resets the environment.
        """
        self.check(saved)
        self._game.step_lock.begin()
        try:
            self._game.emulator.load(saved.console)
            for (_, layer, _, load), (_, values) in zip(self._layers, saved.layers, strict=True):
                load(layer, values)
            for wrapper in self._order:
                _begin(wrapper)
            if noise:
                load_noise(self._game.np_random, saved.noise)
        finally:
            self._game.step_lock.end()

    def check(self, saved: Saved) -> None:
        """Check that ``saved`` is of the same console, the same wrappers and the same arguments.

        See :mod:`mario_envkit.snapshots.kind` for what may differ.

        Raises:
            SnapshotMismatch: if not; says what differs, and both values.
        """
        saved.console.require(self.core, self.rom_sha256)
        if saved.kind is not self.kind and saved.kind != self.kind:
            raise SnapshotMismatch(
                "The snapshot is of another kind of environment than this one: "
                f"{'; '.join(differences(saved.kind, self.kind))}. Build it with the same "
                "arguments, or give it snapshots of its own."
            )


def _remembers(layer: Any) -> _Remembers:
    kind = type(layer)
    if kind in _FOREIGN:
        return _FOREIGN[kind]
    if hasattr(kind, "save_context") and hasattr(kind, "load_context"):
        return _Remembers(kind.save_context, kind.load_context)
    raise OptionError(
        f"The wrapper {kind.__name__} is under the snapshots or in what is to be cloned, and "
        "what it remembers could not be restored: put it around them, or clone what is under "
        "it, or give it save_context() and load_context()."
    )


def _begin(wrapper: Any) -> None:
    """Let a wrapper that insists on a reset know that there is an episode now."""
    if isinstance(wrapper, gym.OrderEnforcing):
        wrapper._has_reset = True
    elif not wrapper.checked_reset:
        # It would compare its first step with the reset that it has not seen.
        wrapper.checked_step = wrapper.checked_data_reuse = True


def save_noise(rng: np.random.Generator) -> Values:
    """A random generator as plain values."""
    state: Any = rng.bit_generator.state
    if state["bit_generator"] != "PCG64":
        raise OptionError(
            f"The environment's random generator is {state['bit_generator']}; snapshots know "
            "PCG64, the one that reset(seed=...) makes."
        )
    inner = state["state"]
    return inner["state"], inner["inc"], state["has_uint32"], state["uinteger"]


def load_noise(rng: np.random.Generator, values: Values) -> None:
    """Go on from :func:`save_noise`."""
    state, increment, has_uint32, uinteger = values
    rng.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": state, "inc": increment},
        "has_uint32": has_uint32,
        "uinteger": uinteger,
    }
