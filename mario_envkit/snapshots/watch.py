"""Which of many games need their handler in a step, worked out in arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mario_envkit.snapshots.handler import SnapshotHandler
from mario_envkit.vector.infos import INT_KEYS

_STAGE, _WORLD, _X, _AREA, _FRAME = map(
    INT_KEYS.index, ("stage", "world", "x_pos", "area", "frame")
)
_PLACE = [_WORLD, _STAGE, _AREA]
_LEAST, _MOST = np.iinfo(np.int64).min, np.iinfo(np.int64).max


class Watch:
    """Lets games go on by themselves within their handlers' quiet stretches.

    Each number of a game has a range in which nothing is due; a step needs the handler where one
    is out of its range or a flag is set (the end of an episode, a death, the level's flag).
    :meth:`due` says where after every step of the pool, :meth:`wake` prepares the handler for
    that step, and :meth:`aim` sets the ranges anew once the handler has been asked for anything.
    At the end of each step comes :meth:`note`.

    Args:
        ints: ``(INT_ROWS, num_envs)`` int64, the pool's numbers.
        flags: ``(FLAG_ROWS, num_envs)`` bool, the pool's flags.
    """

    def __init__(self, ints: NDArray[np.int64], flags: NDArray[np.bool_]) -> None:
        self._ints, self._flags = ints, flags
        self._low = np.full(ints.shape, _LEAST)
        self._high = np.full(ints.shape, _MOST)
        self._last_x, self._last_tick = ints[_X].copy(), ints[_FRAME].copy()
        # Over the steps since the handler was last awake; the least number if there was none.
        self._furthest = np.full(ints.shape[1], _LEAST)
        self._busy = np.ones(ints.shape[1], np.bool_)

    def due(self, begun: NDArray[np.bool_]) -> list[int]:
        """The games whose handler is needed; never those that have only ``begun`` an episode."""
        ints = self._ints
        out = (ints < self._low) | (ints > self._high)
        awake = out.any(axis=0) | self._flags.any(axis=0)
        self._busy = awake | begun
        return np.flatnonzero(awake & ~begun).tolist()

    def wake(self, env: int, handler: SnapshotHandler) -> None:
        """Let a handler catch up with the steps before this one."""
        furthest = int(self._furthest[env])
        if furthest != _LEAST:
            handler.catch_up(int(self._last_x[env]), int(self._last_tick[env]), furthest)

    def aim(self, env: int, handler: SnapshotHandler) -> None:
        """From now on ``env`` is where the pool's numbers say, and its handler knows."""
        stretch = handler.quiet_stretch()
        here = self._ints[_PLACE, env]
        self._low[_PLACE, env] = self._high[_PLACE, env] = here
        self._low[_X, env], self._high[_X, env] = stretch.first_x, stretch.last_x
        self._high[_FRAME, env] = stretch.due_tick - 1
        self._furthest[env] = _LEAST

    def note(self) -> None:
        """Remember where this step led those that nobody has woken."""
        x = self._ints[_X]
        self._last_x[:], self._last_tick[:] = x, self._ints[_FRAME]
        np.maximum(self._furthest, x, out=self._furthest, where=~self._busy)
