"""Observations that are stacks of frames, kept as single frames."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class StackRef(NamedTuple):
    """Where stacks are: int64 frame counters of one shape, ``oldest <= newest``.

    Attributes:
        newest: the last frame of the stack.
        oldest: the first frame that may belong to it; what would reach behind it repeats it.
    """

    newest: NDArray[np.int64]
    oldest: NDArray[np.int64]


class FrameStore:
    """A ring of single frames for each of several environments.

    A stack that continues the one before it (it slid by one frame) costs one frame. Any other stack
    - the first of an episode, or of a restored snapshot - is stored whole, except that equal frames
    at its beginning are stored once: :attr:`StackRef.oldest` repeats them. So every stack comes
    back byte for byte, and none reaches into the episode before.

    Frames are numbered 0, 1, 2... in each environment; the ring keeps the last ``capacity``.
    """

    def __init__(self, num_envs: int, capacity: int, obs_shape: tuple[int, ...]) -> None:
        self.stack = obs_shape[0]
        self.capacity = capacity
        self.frames = np.zeros((num_envs, capacity, *obs_shape[1:]), dtype=np.uint8)
        self.written = np.zeros(num_envs, dtype=np.int64)
        """Number of frames ever written, by environment."""
        self.segment = np.zeros(num_envs, dtype=np.int64)
        """The first frame that the current run of sliding stacks may use, by environment."""
        self._env = np.arange(num_envs)

    def begin(self, env: int, stack: NDArray[np.uint8]) -> None:
        """Store ``stack`` whole, as the newest of environment ``env``."""
        same = (stack == stack[0]).reshape(self.stack, -1).all(axis=1)
        leading = self.stack if same.all() else int(same.argmin())
        fresh = stack[leading - 1 :]
        self.segment[env] = self.written[env]
        slots = (self.written[env] + np.arange(len(fresh))) % self.capacity
        self.frames[env, slots] = fresh
        self.written[env] += len(fresh)

    def advance(self, before: NDArray[np.uint8], after: NDArray[np.uint8]) -> None:
        """Store the stacks ``after``, where ``before`` ``(N, stack, ...)`` are the newest ones."""
        slid = (after[:, :-1] == before[:, 1:]).reshape(len(after), -1).all(axis=1)
        sliding = self._env[slid]
        self.frames[sliding, self.written[sliding] % self.capacity] = after[sliding, -1]
        self.written[sliding] += 1
        for env in self._env[~slid]:
            self.begin(env, after[env])

    def newest(self) -> StackRef:
        """Where the newest stack of every environment is, each ``(N,)``."""
        return StackRef(self.written - 1, self.segment.copy())

    def first_needed(self, ref: StackRef) -> NDArray[np.int64]:
        """The oldest frame that the stacks at ``ref`` are made of."""
        return np.maximum(ref.newest - (self.stack - 1), ref.oldest)

    def gather(self, env: NDArray[np.int64], ref: StackRef) -> NDArray[np.uint8]:
        """Rebuild stacks ``(B, stack, ...)`` for environments and references ``(B,)``."""
        position = ref.newest[:, None] + np.arange(-self.stack + 1, 1)
        position = np.maximum(position, ref.oldest[:, None])
        return np.asarray(self.frames[env[:, None], position % self.capacity])
