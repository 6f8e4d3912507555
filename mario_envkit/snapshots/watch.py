"""Which of many games need their handler in a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mario_envkit.snapshots.handler import SnapshotHandler
from mario_envkit.vector.infos import INT_KEYS

if TYPE_CHECKING:
    from mario_envkit.vector.pool import GamePool

_STAGE, _WORLD, _X, _AREA, _FRAME = map(
    INT_KEYS.index, ("stage", "world", "x_pos", "area", "frame")
)
_FAR = 2**62  # no number gets there
_OF_THE_POOL = "_now", "_where", "_x"


class Watch:
    """Lets games go on by themselves within their handlers' quiet stretches.

    Each number of a game has a range in which nothing is due; a step needs the handler where one
    is outside or a flag is set (the end of an episode, a death, the level's flag).
    :meth:`due` says where after every step of the pool, :meth:`wake` prepares the handler for
    that step, and :meth:`aim` sets the ranges anew once the handler has been asked for anything.
    At the end of each step comes :meth:`note`.

    Args:
        pool: the games.
    """

    def __init__(self, pool: GamePool) -> None:
        self._pool = pool
        self._look()
        self._low = np.full(self._now.shape, -_FAR)
        self._width = np.full(self._now.shape, np.iinfo(np.uint64).max)
        self._width[[_STAGE, _WORLD, _AREA]] = 0
        self._width[_FRAME] = _FAR - 1
        self._outside = pool.watch(self._low, self._width)
        self._last = self._where.copy()
        # Over the steps since the handler was last awake; -_FAR if there was none.
        self._furthest = np.full(self._now.shape[1], -_FAR)
        self._busy: NDArray[np.bool_] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles: the numbers are the pool's."""
        return {name: value for name, value in vars(self).items() if name not in _OF_THE_POOL}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Look out in the pool's copy, which is whole by now."""
        vars(self).update(state)
        self._look()
        outside, self._outside = self._outside, self._pool.watch(self._low, self._width)
        self._outside[:] = outside

    def _look(self) -> None:
        self._now = self._pool.infos.ints
        self._x, self._where = self._now[_X], self._now[_X : _FRAME + 1]

    def due(self, begun: NDArray[np.bool_]) -> list[int]:
        """The games whose handler is needed; never those that have only ``begun`` an episode."""
        self._busy = None
        if not np.count_nonzero(self._outside) and not np.count_nonzero(begun):
            return []
        self._busy = self._outside | begun
        due: list[int] = np.flatnonzero(self._outside & ~begun).tolist()
        return due

    def wake(self, env: int, handler: SnapshotHandler) -> None:
        """Let a handler catch up with the steps before this one."""
        furthest = int(self._furthest[env])
        if furthest != -_FAR:
            handler.catch_up(int(self._last[0, env]), int(self._last[-1, env]), furthest)

    def aim(self, env: int, handler: SnapshotHandler) -> None:
        """From now on ``env`` is where the pool's numbers say, and its handler knows."""
        stretch = handler.quiet_stretch()
        self._low[:, env] = self._now[:, env]
        self._low[_X, env] = stretch.first_x
        self._width[_X, env] = stretch.last_x - stretch.first_x
        self._low[_FRAME, env] = stretch.due_tick - _FAR
        self._furthest[env] = -_FAR

    def note(self) -> None:
        """Remember where this step led those that nobody has woken."""
        self._last[:] = self._where
        np.maximum(self._furthest, self._x, out=self._furthest)
        if self._busy is not None:
            self._furthest[self._busy] = -_FAR
