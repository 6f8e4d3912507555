"""A vector in shared memory with a version, which is written in place.

One process writes and counts versions; the others read, at times of which they know that nobody
writes then (see :mod:`mario_agents.runtime.weights`). Where nobody knows that, there is
:class:`~mario_agents.runtime.shm.shared_weights.SharedWeights`.
"""

from __future__ import annotations

import numpy as np

from mario_agents.runtime.shm.atomics import (
    LINE,
    Fence,
    Memory,
    atomic_words,
    kind_of,
    read_header,
    write_header,
)
from mario_agents.runtime.shm.segments import SharedSegments, attach
from mario_envkit.errors import OptionError

_KIND = kind_of("marioSV1")


class SharedVector:
    """Travels to processes that are started.

    Attributes:
        name: of the segment, for :meth:`attach`.
        vector: ``(size,)`` float32, the shared memory itself.
    """

    def __init__(self, name: str, memory: Memory) -> None:
        """Of memory that is formatted already; use :meth:`create` or :meth:`attach`."""
        (size,) = read_header(memory, _KIND, 1, "a vector of a run")
        self.name = name
        self.vector = memory[2 * LINE : 2 * LINE + size * 4].view(np.float32)
        self._version = atomic_words(memory, LINE, 1)
        self._fence = Fence()

    @classmethod
    def create(cls, segments: SharedSegments, *, size: int) -> SharedVector:
        """Zeros, of version 0.

        Raises:
            OptionError: if ``size`` is not positive.
            RunError: if there is not so much shared memory.
        """
        if size < 1:
            raise OptionError(f"A vector needs at least one number, but size is {size}.")
        name, memory = segments.create(2 * LINE + size * 4)
        write_header(memory, _KIND, [size])
        return cls(name, memory)

    @classmethod
    def attach(cls, name: str) -> SharedVector:
        """The vector that another process made.

        Raises:
            RunError: if it is gone, or the segment is something else.
        """
        return cls(name, attach(name))

    def __reduce__(self) -> tuple[object, ...]:
        return SharedVector.attach, (self.name,)

    @property
    def version(self) -> int:
        """Number of the last :meth:`publish`; 0 if there was none."""
        return self._version[0]

    def publish(self) -> int:
        """What is in the vector is the next version; returns its number."""
        self._fence()  # whoever sees the version sees what was written before
        self._version[0] += 1
        return self._version[0]

    def read(self) -> int:
        """The version; what belongs to it can be read from here on."""
        version = self._version[0]
        self._fence()
        return version
