"""A vector in shared memory with a version, which is written in place.

One process writes and counts versions; the others read, at times of which they know that nobody
writes then (see :mod:`mario_agents.runtime.weights`). Where nobody knows that, there is
:class:`~mario_agents.runtime.shm.shared_weights.SharedWeights`.
"""

from __future__ import annotations

import numpy as np

from mario_agents.runtime.shm.atomics import Memory, kind_of
from mario_agents.runtime.shm.shared_numbers import SharedNumbers


class SharedVector(SharedNumbers):
    """One vector, the shared memory itself.

    Attributes:
        vector: ``(size,)`` float32.
    """

    KIND = kind_of("marioSV1")
    WHAT = "a vector of a run"

    @classmethod
    def _bytes(cls, size: int) -> int:
        return size * 4

    def _lay_out(self, memory: Memory) -> None:
        self.vector = memory[: self.size * 4].view(np.float32)

    def publish(self) -> int:
        """What is in the vector is the next version; returns its number."""
        self._fence()  # whoever sees the version sees what was written before
        self._newest[0] += 1
        return self._newest[0]

    def read(self) -> int:
        """The version; what belongs to it can be read from here on."""
        version = self._newest[0]
        self._fence()
        return version
