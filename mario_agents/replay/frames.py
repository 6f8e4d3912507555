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
    """A ring of single frames for each of several games.

    A stack that continues the one before it (it slid by one frame) costs one frame. Any other stack
    - the first of an episode, or of a restored snapshot - is stored whole, except that equal frames
    at its beginning are stored once: :attr:`StackRef.oldest` repeats them. So every stack comes
    back byte for byte, and none reaches into the episode before.

    Frames are numbered 0, 1, 2... in each game; the ring keeps the last ``capacity``.

    Args:
        games: number of games.
        capacity: frames for each of them.
        obs_shape: of one observation: ``(stack, ...)``, or, not ``stacked``, of anything that is
            stored whole.
        stacked: whether the first axis of an observation is one of frames.
    """

    def __init__(
        self, games: int, capacity: int, obs_shape: tuple[int, ...], *, stacked: bool = True
    ) -> None:
        self.obs_shape = obs_shape
        self.stack = obs_shape[0] if stacked else 1
        self.capacity = capacity
        frame = obs_shape[1:] if stacked else obs_shape
        self.frames = np.zeros((games, capacity, *frame), dtype=np.uint8)
        self.written = np.zeros(games, dtype=np.int64)
        """Number of frames ever written, by game."""
        self.segment = np.zeros(games, dtype=np.int64)
        """The first frame that the current run of sliding stacks may use, by game."""
        self._index()

    def _index(self) -> None:
        self._game = np.arange(len(self.written))
        self._flat = self.frames.reshape(-1, int(np.prod(self.frames.shape[2:])))
        self._stack = np.arange(-self.stack + 1, 1)

    def part(self, start: int, stop: int) -> FrameStore:
        """The games ``start .. stop - 1``, in the same memory."""
        part = object.__new__(FrameStore)
        part.obs_shape, part.stack, part.capacity = self.obs_shape, self.stack, self.capacity
        part.frames = self.frames[start:stop]
        part.written, part.segment = self.written[start:stop], self.segment[start:stop]
        part._index()
        return part

    def stacks(self, obs: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Observations ``(N, *obs_shape)`` as ``(N, stack, *frame)``."""
        return obs.reshape(len(obs), self.stack, *self.frames.shape[2:])

    def begin(self, games: NDArray[np.int64], stacks: NDArray[np.uint8]) -> None:
        """Store ``stacks`` ``(K, stack, *frame)`` whole, as the newest of ``games`` ``(K,)``."""
        differs = (stacks != stacks[:, :1]).reshape(len(games), self.stack, -1).any(axis=2)
        # How many frames at the beginning need not be stored: all but one of those that are equal.
        spared = np.where(differs.any(axis=1), differs.argmax(axis=1), self.stack) - 1
        which, frame = (np.arange(self.stack) >= spared[:, None]).nonzero()
        game, written = games[which], self.written[games]
        slots = (written[which] + frame - spared[which]) % self.capacity
        self.frames[game, slots] = stacks[which, frame]
        self.segment[games] = written
        self.written[games] += self.stack - spared

    def advance(self, before: NDArray[np.uint8], after: NDArray[np.uint8]) -> None:
        """Store the stacks ``after``, where ``before`` ``(N, stack, *frame)`` are the newest."""
        slid = (after[:, :-1] == before[:, 1:]).reshape(len(after), -1).all(axis=1)
        if slid.all():
            self.frames[self._game, self.written % self.capacity] = after[:, -1]
            self.written += 1
            return
        sliding, others = slid.nonzero()[0], (~slid).nonzero()[0]
        self.frames[sliding, self.written[sliding] % self.capacity] = after[sliding, -1]
        self.written[sliding] += 1
        self.begin(others, after[others])

    def newest(self) -> StackRef:
        """Where the newest stack of every game is, each ``(games,)``."""
        return StackRef(self.written - 1, self.segment.copy())

    def first_needed(self, ref: StackRef) -> NDArray[np.int64]:
        """The oldest frame that the stacks at ``ref`` are made of."""
        return np.maximum(ref.newest - (self.stack - 1), ref.oldest)

    def gather(
        self, game: NDArray[np.int64], ref: StackRef, out: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8]:
        """Rebuild observations ``(*shape, *obs_shape)`` of games and references of one shape, in
        ``out`` if it is given."""
        position = ref.newest[..., None] + self._stack
        position = np.maximum(position, ref.oldest[..., None]) % self.capacity
        position += game[..., None] * self.capacity
        if out is None:
            frames: NDArray[np.uint8] = self._flat.take(position, axis=0)
            return frames.reshape(*game.shape, *self.obs_shape)
        # All positions are in range: "clip" only lets NumPy write without a copy in between.
        self._flat.take(position, 0, out.reshape(*position.shape, -1), mode="clip")
        return out
