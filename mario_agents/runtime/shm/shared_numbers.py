"""What the two ways to share weights have in common: numbers and their version, in a segment."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from mario_agents.runtime.shm.atomics import (
    LINE,
    Fence,
    Memory,
    atomic_words,
    read_header,
    write_header,
)
from mario_agents.runtime.shm.segments import SharedSegments, attach
from mario_envkit.errors import OptionError

if TYPE_CHECKING:
    from typing_extensions import Self


class SharedNumbers(ABC):
    """``size`` float32 with a version, in shared memory. Travels to processes that are started.

    Attributes:
        name: of the segment, for :meth:`attach`.
        size: how many numbers.
    """

    KIND: ClassVar[int]
    """Marks the segment, see :func:`~mario_agents.runtime.shm.atomics.kind_of`."""
    WHAT: ClassVar[str]
    """What the segment holds, in an error."""

    def __init__(self, name: str, memory: Memory) -> None:
        """Of memory that is formatted already; use :meth:`create` or :meth:`attach`."""
        (self.size,) = read_header(memory, self.KIND, 1, self.WHAT)
        self.name = name
        self._newest = atomic_words(memory, LINE, 1)
        self._fence = Fence()
        self._lay_out(memory[2 * LINE :])

    @classmethod
    @abstractmethod
    def _bytes(cls, size: int) -> int:
        """Room for the numbers, beside what is here."""

    @abstractmethod
    def _lay_out(self, memory: Memory) -> None:
        """Where the numbers are in that room."""

    @classmethod
    def create(cls, segments: SharedSegments, *, size: int) -> Self:
        """Room for ``size`` numbers, zeros; nothing is published yet.

        Raises:
            OptionError: if ``size`` is not positive.
            RunError: if there is not so much shared memory.
        """
        if size < 1:
            raise OptionError(f"Sharing weights needs at least one number, but size is {size}.")
        name, memory = segments.create(2 * LINE + cls._bytes(size))
        write_header(memory, cls.KIND, [size])
        return cls(name, memory)

    @classmethod
    def private(cls, *, size: int) -> Self:
        """The same in this process's own memory, for its threads."""
        memory = np.zeros(2 * LINE + cls._bytes(size), dtype=np.uint8)
        write_header(memory, cls.KIND, [size])
        return cls("", memory)

    @classmethod
    def attach(cls, name: str) -> Self:
        """What another process made, and publishes.

        Raises:
            RunError: if it is gone, or the segment is something else.
        """
        return cls(name, attach(name))

    def __reduce__(self) -> tuple[object, ...]:
        return type(self).attach, (self.name,)

    @property
    def version(self) -> int:
        """Of the newest whole numbers: 1 for the first ones, 0 if there are none yet."""
        return self._newest[0]
