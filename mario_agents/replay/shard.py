"""The steps of one worker's games, in memory that all shards of a storage share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mario_agents.core.types import Step
from mario_agents.replay.frames import FrameStore, StackRef

Columns = Mapping[str, NDArray[Any]]
"""Values by column name, each ``(games, rows, ...)``."""


class Added(NamedTuple):
    """A new step of a worker's ``N`` games.

    Attributes:
        games: their numbers in the storage.
        step: the number of the step, which all of them have.
    """

    games: slice
    step: int


class Shard:
    """A ring of rows for each of ``N`` games that are stepped together; see :class:`Storage`.

    Args:
        games: their numbers in the storage.
        frames: of these games.
        columns: of these games.
        counter: ``(1,)``, steps ever added.
        first: ``(N,)``, by game the oldest step that is complete.
        extras: names of the columns that the policy fills.
    """

    def __init__(
        self,
        games: slice,
        frames: FrameStore,
        columns: Columns,
        counter: NDArray[np.int64],
        first: NDArray[np.int64],
        extras: Sequence[str],
    ) -> None:
        self.games, self.frames, self.first = games, frames, first
        self._counter = counter
        self._action, self._reward = columns["action"], columns["reward"]
        self._terminated, self._truncated = columns["terminated"], columns["truncated"]
        self._is_first = columns["is_first"]
        self._obs = StackRef(columns["obs_newest"], columns["obs_oldest"])
        self._next = StackRef(columns["next_newest"], columns["next_oldest"])
        self._extras = [(name, columns[name]) for name in extras]
        self._num, self._rows = self._terminated.shape
        self._game = np.arange(self._num)
        self._offset = self._game * self._rows
        self._last: NDArray[np.uint8] | None = None

    @property
    def steps(self) -> int:
        """Number of calls of :meth:`add`, ever."""
        return int(self._counter[0])

    def add(self, step: Step) -> Added:
        """Append one step of every game."""
        number = self.steps
        row = number % self._rows
        frames = self.frames
        obs, final = frames.stacks(step.obs), frames.stacks(step.final_obs)
        fresh = self._begin(number, obs)
        np.bitwise_or(step.is_first, fresh, out=self._is_first[:, row])
        np.subtract(frames.written, 1, out=self._obs.newest[:, row])
        self._obs.oldest[:, row] = frames.segment
        frames.advance(obs, final)
        np.subtract(frames.written, 1, out=self._next.newest[:, row])
        self._next.oldest[:, row] = frames.segment
        self._action[:, row] = step.action
        self._reward[:, row] = step.reward
        self._terminated[:, row] = step.terminated
        self._truncated[:, row] = step.truncated
        for name, column in self._extras:
            column[:, row] = step.extras[name]
        if self._last is None:
            self._last = final.copy()
        else:
            np.copyto(self._last, final)
        self._counter[0] = number + 1
        self._evict(number + 1)
        return Added(self.games, number)

    def cut(self) -> None:
        """Declare the newest step of each game truncated, unless it terminated."""
        if self.steps:
            row = (self.steps - 1) % self._rows
            self._truncated[:, row] |= ~self._terminated[:, row]

    def resume(self) -> None:
        """The shared memory has been filled by somebody else."""
        self._last = None
        if self.steps:
            newest = self.frames.gather(self._game, self.frames.newest())
            self._last = self.frames.stacks(newest).copy()

    def _begin(self, number: int, obs: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Make ``obs`` the newest stacks; most of the time the step before did so already.

        Returns:
            ``(N,)``, whether they are not what the step before led to, or an episode ended there.
        """
        if self._last is None:
            fresh = np.ones(self._num, dtype=np.bool_)
        else:
            row = (number - 1) % self._rows
            ended = self._terminated[:, row] | self._truncated[:, row]
            differs: NDArray[np.bool_] = (obs != self._last).reshape(self._num, -1).any(axis=1)
            fresh = ended | differs
            if not fresh.any():
                return fresh
            self._truncated[:, row] |= fresh & ~ended
        games = fresh.nonzero()[0]
        self.frames.begin(games, obs[games])
        return fresh

    def _evict(self, steps: int) -> None:
        """Forget steps whose row, or one of whose frames, has been written over."""
        lost = np.maximum(self.first, steps - self._rows)
        kept = self.frames.written - self.frames.capacity
        while True:
            # The frames of a later step are never older, so that the first complete step ends it.
            place = self._offset + lost % self._rows
            ref = StackRef(*(column.take(place) for column in self._obs))
            torn = self.frames.first_needed(ref) < kept
            if not torn.any():
                break
            lost += torn  # never the newest step: there are frames to spare for two stacks
        self.first[:] = lost
