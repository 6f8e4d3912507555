"""The newest weights, copied from the coordinator to every worker through shared memory.

Two buffers: version ``v`` lies in buffer ``v % 2``, so that a new version is written beside the one
that is being read. Each buffer has a *mark*, the version that is in it or is being written to it.
The coordinator writes *mark v, data, newest v*, with a fence after each step. A reader reads
*newest v, data, mark* in that order, fences in between, and keeps what it copied only if the
mark still says ``v``; otherwise two newer versions were begun meanwhile, and it starts again (a
sequence lock: Boehm, "Can seqlocks get along with programming language memory models?", MSPC 2012).

A writer that is killed between two steps leaves the last whole version readable: *newest* still
points to the other buffer. Its replacement writes the same version number again.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mario_agents.runtime.shm.atomics import LINE, Memory, atomic_words, kind_of, round_up
from mario_agents.runtime.shm.shared_numbers import SharedNumbers
from mario_envkit.errors import OptionError


class SharedWeights(SharedNumbers):
    """Two copies of a vector: one process publishes, any number reads, nobody waits."""

    KIND = kind_of("marioSW1")
    WHAT = "the weights of a run"

    @classmethod
    def _bytes(cls, size: int) -> int:
        return 2 * (LINE + round_up(size * 4))

    def _lay_out(self, memory: Memory) -> None:
        starts = (0, LINE + round_up(self.size * 4))
        self._marks = [atomic_words(memory, start, 1) for start in starts]
        self._buffers = [
            memory[start + LINE : start + LINE + self.size * 4].view(np.float32) for start in starts
        ]

    def publish(self, vector: NDArray[np.float32]) -> int:
        """Copy ``vector`` ``(size,)`` float32 in, and return its version: one more than the last.

        Raises:
            OptionError: if the vector has another shape or type.
        """
        self._check(vector)
        version = self._newest[0] + 1
        self._marks[version % 2][0] = version
        self._fence()
        self._copy(self._buffers[version % 2], vector)
        self._fence()
        self._newest[0] = version
        return version

    def read(self, out: NDArray[np.float32], newer_than: int = 0) -> int | None:
        """Copy the newest vector into ``out`` ``(size,)`` float32, and return its version.

        Returns None, and leaves ``out`` alone, if there is none newer than ``newer_than``. A caller
        that has seen a packet released gets at least the weights published before that.

        Raises:
            OptionError: if ``out`` has another shape or type.
        """
        self._check(out)
        while True:
            self._fence()
            version = self._newest[0]
            if version <= newer_than:
                return None
            self._fence()
            self._copy(out, self._buffers[version % 2])
            self._fence()
            if self._marks[version % 2][0] == version:
                return version

    def _check(self, vector: NDArray[np.float32]) -> None:
        if vector.shape != (self.size,) or vector.dtype != np.float32:
            raise OptionError(
                f"These weights are float32 of shape ({self.size},), not {vector.dtype} of shape "
                f"{vector.shape}."
            )

    @staticmethod
    def _copy(out: NDArray[np.float32], source: NDArray[np.float32]) -> None:
        np.copyto(out, source)
