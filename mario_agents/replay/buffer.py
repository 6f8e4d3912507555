"""Uniform replay of n-step transitions from environments that are stepped together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mario_agents.ops.nstep import n_step_returns
from mario_agents.replay.frames import FrameStore, StackRef
from mario_envkit.errors import CheckpointError, ConfigError

SPARE_FRAMES = 16
"""One spare frame for so many transitions: an episode needs one more frame than it has steps."""

_ARRAYS = (
    *("action", "reward", "terminated", "truncated"),
    *("obs_newest", "obs_oldest", "next_newest", "next_oldest"),
)


class UniformReplay:
    """The last ``capacity`` transitions, drawn with equal chances.

    Frames are stored once, as single uint8 pictures; stacks and n-step returns are built when a
    batch is drawn (:class:`~mario_agents.replay.frames.FrameStore`, :func:`n_step_returns`). The
    newest transitions of an episode that still goes on use as many steps as there are.

    **Memory.** Let ``C`` be ``capacity`` rounded down to a multiple of ``num_envs``. There are
    ``C + C/16`` frames (and a few more for each environment) and 46 bytes a transition: for 100,000
    transitions at 84x84 in 8 environments 754.7 MB; storing stacks would take 5.6 GB (obs and
    next_obs). Where episodes are shorter than 16 steps the spare frames do not suffice; then the
    oldest transitions leave before the buffer is full.

    **Index.** A transition is called by ``step * num_envs + env``, where ``step`` counts all calls
    of :meth:`add`; an index is never used again for another one.

    Args:
        capacity: transitions over all environments.
        num_envs: number of environments.
        obs_shape: ``(stack, H, W)``, or any ``(stack, ...)``.
        n_step: steps that a return sums over, at least 1.
        gamma: discount for each step.
        rng: draws the batches; its state is the caller's to save.
    """

    def __init__(
        self,
        capacity: int,
        num_envs: int,
        obs_shape: tuple[int, ...],
        *,
        n_step: int,
        gamma: float,
        rng: np.random.Generator,
    ) -> None:
        self.rows = capacity // num_envs
        if self.rows < 1 or n_step < 1:
            raise ConfigError(
                f"A replay buffer needs room for at least one transition of each of the {num_envs} "
                f"environments and n_step >= 1, not buffer_size={capacity} and n_step={n_step}."
            )
        self.num_envs, self.n_step, self.gamma, self.rng = num_envs, n_step, gamma, rng
        stack = obs_shape[0]
        spare = self.rows // SPARE_FRAMES + 2 * stack
        self.store = FrameStore(num_envs, self.rows + spare, obs_shape)
        shape = (num_envs, self.rows)
        self.action = np.zeros(shape, dtype=np.int64)
        self.reward = np.zeros(shape, dtype=np.float32)
        self.terminated = np.zeros(shape, dtype=np.bool_)
        self.truncated = np.zeros(shape, dtype=np.bool_)
        # The two stacks of a transition differ by where they end and, rarely, begin.
        self.obs_newest = np.zeros(shape, dtype=np.int64)
        self.obs_oldest = np.zeros(shape, dtype=np.int64)
        self.next_newest = np.zeros(shape, dtype=np.int64)
        self.next_oldest = np.zeros(shape, dtype=np.int64)
        self.steps = 0
        """Number of calls of :meth:`add`, ever."""
        self.first = np.zeros(num_envs, dtype=np.int64)
        """By environment, the oldest step that is still complete."""
        self._last: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return int((self.steps - self.first).sum())

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays together."""
        return sum(array.nbytes for array in UniformReplay.state_dict(self).values())

    def add(
        self,
        obs: NDArray[np.uint8],
        action: NDArray[np.int64],
        reward: NDArray[np.float32],
        terminated: NDArray[np.bool_],
        truncated: NDArray[np.bool_],
        final_obs: NDArray[np.uint8],
    ) -> None:
        """Append one step of every environment; see :class:`mario_agents.core.types.ReplayBuffer`.

        If ``obs`` is not what the step before led to although no episode ended there, the step
        before counts as truncated: no return may reach across the gap.
        """
        self._store_observations(obs)
        row = self.steps % self.rows
        self.obs_newest[:, row], self.obs_oldest[:, row] = self.store.newest()
        self.store.advance(obs, final_obs)
        self.next_newest[:, row], self.next_oldest[:, row] = self.store.newest()
        self.action[:, row] = action
        self.reward[:, row] = reward
        self.terminated[:, row] = terminated
        self.truncated[:, row] = truncated
        self._last = final_obs.copy()
        self.steps += 1
        self._evict()

    def _store_observations(self, obs: NDArray[np.uint8]) -> None:
        """Make ``obs`` the newest stacks; most of the time the step before did so already."""
        if self.steps == 0 or self._last is None:
            follows = np.zeros(self.num_envs, dtype=np.bool_)
        else:
            previous = (self.steps - 1) % self.rows
            ended = self.terminated[:, previous] | self.truncated[:, previous]
            equal = (obs == self._last).reshape(self.num_envs, -1).all(axis=1)
            follows = equal & ~ended
            self.truncated[:, previous] |= ~ended & ~equal
        for env in np.flatnonzero(~follows):
            self.store.begin(int(env), obs[env])

    def _evict(self) -> None:
        """Forget steps whose row, or one of whose frames, has been written over."""
        lost = np.maximum(self.first, self.steps - self.rows)
        kept = self.store.written - self.store.capacity
        while True:
            # The frames of a later step are never older, so that the first complete step ends it.
            rows = lost % self.rows
            env = np.arange(self.num_envs)
            ref = StackRef(self.obs_newest[env, rows], self.obs_oldest[env, rows])
            torn = (self.store.first_needed(ref) < kept) & (lost < self.steps)
            if not torn.any():
                break
            lost += torn
        self._forget(lost)
        self.first = lost

    def _forget(self, first: NDArray[np.int64]) -> None:
        """Called before the steps ``self.first .. first - 1`` of each environment leave."""

    def cut(self) -> None:
        """Declare the newest step of each environment truncated, unless it terminated.

        For whoever resets the environments in the middle of their episodes, as resuming does.
        """
        if self.steps:
            row = (self.steps - 1) % self.rows
            self.truncated[:, row] |= ~self.terminated[:, row]

    def sample(self, batch_size: int) -> dict[str, NDArray[Any]]:
        """Draw transitions with equal chances, with replacement.

        Returns:
            ``obs`` and ``next_obs`` ``(B, stack, ...)`` uint8, ``action`` int64, ``reward`` and
            ``discount`` float32 (the n-step return and what the value of ``next_obs`` is multiplied
            by), ``weight`` float32 (ones here), ``index`` int64; each ``(B,)``.

        Raises:
            ValueError: if the buffer is empty.
        """
        if len(self) == 0:
            raise ValueError("An empty replay buffer has nothing to sample; add steps first.")
        ends = np.cumsum(self.steps - self.first)
        drawn = self.rng.integers(ends[-1], size=batch_size)
        env = np.searchsorted(ends, drawn, side="right")
        step = self.steps - (ends[env] - drawn)
        return self.batch(step * self.num_envs + env, np.ones(batch_size, dtype=np.float32))

    def batch(
        self, index: NDArray[np.int64], weight: NDArray[np.float32]
    ) -> dict[str, NDArray[Any]]:
        """Build the batch of given transitions; see :meth:`sample`."""
        step, env = np.divmod(index, self.num_envs)
        window = step[:, None] + np.arange(self.n_step)
        # The newest step has no successor yet: treated as a truncation, it bootstraps from where
        # the game stands now.
        newest = window >= self.steps - 1
        rows, column = window % self.rows, env[:, None]
        returns = n_step_returns(
            self.reward[column, rows],
            self.terminated[column, rows],
            self.truncated[column, rows] | newest,
            self.gamma,
        )
        row, last = step % self.rows, (step + returns.last) % self.rows
        obs = StackRef(self.obs_newest[env, row], self.obs_oldest[env, row])
        next_obs = StackRef(self.next_newest[env, last], self.next_oldest[env, last])
        return {
            "obs": self.store.gather(env, obs),
            "action": self.action[env, row],
            "reward": returns.reward,
            "discount": returns.discount,
            "next_obs": self.store.gather(env, next_obs),
            "weight": weight,
            "index": index,
        }

    def update_priorities(self, index: NDArray[np.int64], priority: NDArray[np.float32]) -> None:
        """Nothing to do: all transitions are alike here."""

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Everything but the random state, as named arrays (views: copy them before adding)."""
        state = {name: getattr(self, name) for name in _ARRAYS}
        state |= {"frames": self.store.frames, "written": self.store.written}
        state |= {"segment": self.store.segment, "first": self.first}
        return state | {"steps": np.array([self.steps])}

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take over what :meth:`state_dict` of a buffer of the same shape gave.

        Raises:
            CheckpointError: if an array is missing or has another shape; the buffer is unchanged.
        """
        own = self.state_dict()
        for name, array in own.items():
            if name not in state or state[name].shape != array.shape:
                found = state[name].shape if name in state else "nothing"
                raise CheckpointError(
                    f"The saved replay buffer does not fit this one: {name!r} should have the "
                    f"shape {array.shape}, but there is {found}; resume with the same buffer_size, "
                    "num_envs and screen size."
                )
        for name, array in own.items():
            array[...] = state[name]
        self.steps = int(state["steps"][0])
        if self.steps:
            self._last = self.store.gather(np.arange(self.num_envs), self.store.newest())
