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

from mario_agents.runtime.shm.atomics import (
    LINE,
    Fence,
    Memory,
    atomic_words,
    kind_of,
    read_header,
    round_up,
    write_header,
)
from mario_agents.runtime.shm.segments import SharedSegments, attach
from mario_envkit.errors import OptionError

_KIND = kind_of("marioSW1")


class SharedWeights:
    """A vector of float32 with a version: one process publishes, any number reads, nobody waits.
    Travels to processes that are started.

    Attributes:
        name: of the segment, for :meth:`attach`.
        size: floats in the vector.
    """

    def __init__(self, name: str, memory: Memory) -> None:
        """Of memory that is formatted already; use :meth:`create` or :meth:`attach`."""
        (self.size,) = read_header(memory, _KIND, 1, "the weights of a run")
        self.name = name
        self._newest = atomic_words(memory, LINE, 1)
        step = LINE + round_up(self.size * 4)
        starts = (2 * LINE, 2 * LINE + step)
        self._marks = [atomic_words(memory, start, 1) for start in starts]
        self._buffers = [
            memory[start + LINE : start + LINE + self.size * 4].view(np.float32) for start in starts
        ]
        self._fence = Fence()

    @classmethod
    def create(cls, segments: SharedSegments, *, size: int) -> SharedWeights:
        """Room for ``size`` floats; nothing is published yet.

        Raises:
            OptionError: if ``size`` is not positive.
            RunError: if there is not so much shared memory.
        """
        name, memory = segments.create(_total_bytes(size))
        write_header(memory, _KIND, [size])
        return cls(name, memory)

    @classmethod
    def attach(cls, name: str) -> SharedWeights:
        """The weights that another process publishes, or goes on publishing.

        Raises:
            RunError: if they are gone, or the segment is something else.
        """
        return cls(name, attach(name))

    def __reduce__(self) -> tuple[object, ...]:
        return SharedWeights.attach, (self.name,)

    @property
    def version(self) -> int:
        """Of the newest whole vector: 1 for the first one, 0 if there is none yet."""
        return self._newest[0]

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


def _total_bytes(size: int) -> int:
    if size < 1:
        raise OptionError(f"Weights need at least one number, but size is {size}.")
    return 2 * LINE + 2 * (LINE + round_up(size * 4))
