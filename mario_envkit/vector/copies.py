"""Copies of a vector, and its games as values: some or all of them go back to any moment."""

from __future__ import annotations

import os
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from mario_envkit.arguments import as_bool, as_int, as_sequence, not_possible
from mario_envkit.copies import EnvState, check_state
from mario_envkit.errors import CallOrderError, OptionError, ResetRequired
from mario_envkit.step_lock import StepLock
from mario_envkit.vector.open_games import OpenGames
from mario_envkit.vector.options import lightened

if TYPE_CHECKING:
    from typing_extensions import Self

    from mario_envkit.curriculum.schedule import ScheduledLevels
    from mario_envkit.snapshots.slot import Slot


_NOT_COPIED = frozenset({"step_lock", "observation_space", "single_observation_space"})
"""Attributes that a copy makes anew. (The bounds of the spaces take four observations each.)"""


class CopiedGames(OpenGames):
    """Copies, pickles and clones of a vector environment."""

    schedules: list[ScheduledLevels]
    over: NDArray[np.bool_]
    _waiting: bool
    _begun: bool
    _ready: bool

    # -- all of it ---------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles: everything, between two steps."""
        if self._pool is not None:
            _ = self.pool  # not those of another process
        if self._waiting:
            raise CallOrderError("step_wait() must come before a copy.")
        return {name: value for name, value in vars(self).items() if name not in _NOT_COPIED}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Be that, with games and threads of its own."""
        vars(self).update(state)
        self._process = os.getpid()
        self.step_lock = StepLock()
        self._set_observation_space()

    def _set_observation_space(self) -> None:
        self.single_observation_space = self.single.observation_space
        self.observation_space = lightened(
            batch_space(self.single_observation_space, self.num_envs)
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A copy between two steps, be they of another thread. (A pickle does not wait for it.)"""
        cls = type(self)
        made = memo[id(self)] = cls.__new__(cls)
        if self._pool is not None:
            _ = self.pool  # a lock of another process may stay locked
        with self.step_lock:
            made.__setstate__(deepcopy(self.__getstate__(), memo))
        return made

    # -- single games ------------------------------------------------------------------------

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """The games, one by one, as values."""
        from mario_envkit.snapshots.slot import slots_of  # which imports the vector

        return slots_of(self)  # type: ignore[arg-type]

    def clone_state(
        self, indices: Sequence[int] | None = None, include_rng: bool = True
    ) -> tuple[EnvState, ...]:
        """The games as values, one for each, between two steps.

        Each is what :func:`mario_envkit.clone_state` gives of a single environment with the same
        arguments, and can be restored there too.

        Args:
            indices: of which environments; None takes all.
            include_rng: see there.

        Raises:
            ResetRequired: before the first reset.
            OptionError: for indices that do not exist.
        """
        chosen = self._chosen(indices)
        include_rng = as_bool("include_rng", include_rng)
        if not self._begun:
            raise ResetRequired("There are no games to save yet: call reset() first.")
        with self.step_lock:
            return tuple(self._clone(i, include_rng) for i in chosen)

    def restore_state(
        self, states: EnvState | Sequence[EnvState], indices: Sequence[int] | None = None
    ) -> None:
        """Let games be where they were when ``states`` were taken; the others stay as they are.

        It returns nothing: keep the observations beside the states. A state may go into several
        games, and into any of them: ``envs.restore_state(root)`` lets all begin at one moment. A
        schedule of levels that games share goes back for all of them.

        Args:
            states: one for each of ``indices``, or one for all of them.
            indices: of the environments, each at most once; None takes all. Before the first reset
                only all can be restored.

        Raises:
            SnapshotMismatch: if a state is of another kind of environment; nothing changes then.
            OptionError: for what is no state, and numbers that do not fit.
            CallOrderError: between ``step_async()`` and ``step_wait()``, and while another thread
                steps or resets the games.
        """
        chosen = self._chosen(indices)
        if isinstance(states, EnvState):
            states = [states] * len(chosen)
        states = as_sequence("states", states, "what clone_state() returned")
        if len(states) != len(chosen):
            raise OptionError(
                f"There are {len(states)} states for {len(chosen)} environments; give one for "
                "each, or one for all."
            )
        if len(chosen) < self.num_envs and not self._begun:
            raise ResetRequired("Some games can be restored once all were reset: call reset().")
        for i, state in zip(chosen, states, strict=True):
            self.slots[i].check(check_state(state).saved)
        self.step_lock.begin()
        try:
            for i, state in zip(chosen, states, strict=True):
                self._restore(i, state)
            if len(chosen) == self.num_envs:
                self._begun = self._ready = True
        finally:
            self.step_lock.end()

    def _chosen(self, indices: Sequence[int] | None) -> list[int]:
        _ = self.pool  # neither closed nor another process's
        if self._waiting:
            raise CallOrderError("step_wait() must come before states.")
        if indices is None:
            return list(range(self.num_envs))
        expected = f"environments, 0 to {self.num_envs - 1}, each at most once"
        chosen = [
            as_int("indices", i, most=self.num_envs - 1)
            for i in as_sequence("indices", indices, expected)
        ]
        if len(set(chosen)) < len(chosen):
            raise not_possible("indices", indices, expected)
        return chosen

    def _clone(self, i: int, include_rng: bool) -> EnvState:
        saved, elapsed = self.slots[i].save_with_steps()
        if not include_rng:
            saved = replace(saved, noise=())
        return EnvState(saved, self.schedules[i].save(), not self.over[i], elapsed)

    def _restore(self, i: int, state: EnvState) -> None:
        saved, slot = state.saved, self.slots[i]
        slot.load(saved, noise=bool(saved.noise), elapsed=state.elapsed)
        self.pool.show(i, slot.observation_of(saved))
        self.schedules[i].load(state.schedule)
        self.over[i] = not state.playing
