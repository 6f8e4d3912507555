"""Aligned 8-byte words that processes share, and the order in which they become visible.

Everything in shared memory here is either a *word*, written by one process at a time, or data that
words say the state of. Three things make that right on any processor Python runs on:

* A word is one aligned 8-byte store or load, which no processor we know tears: a reader sees
  the old value or the new one.
* x86-64 shows one core's stores to another in program order, and does loads in program order.
  ARM (Apple, Graviton) does neither. :class:`Fence` orders them where Python has no instruction
  for it: it takes and lets go of a private lock, twice. Letting go is a release, taking is an
  acquire, and a release that is followed by an acquire is never passed by either (STLR/CASL and
  LDAR/CASA in the ARMv8 memory model), so that all before the first "let go" stays ahead of all
  after the second "take". It costs a fifth of a microsecond.
* Nothing waits for another process. There is no lock that a killed process could take along.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mario_envkit.errors import RunError

WORD = 8
"""Bytes in a word."""

LINE = 128
"""Bytes between words of different writers, so that they never share a cache line (Apple's are
128 bytes long; Intel fetches lines of 64 in pairs)."""

Memory = NDArray[np.uint8]
"""A piece of shared memory, one-dimensional."""


class Fence:
    """Call it: what comes before is visible to other processors before what comes after."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __call__(self) -> None:
        lock = self._lock
        with lock:
            pass
        with lock:
            pass


def atomic_words(memory: Memory, start: int, count: int) -> memoryview[int]:
    """``count`` signed words from byte ``start`` on, to be read and written one at a time."""
    return memory[start : start + count * WORD].data.cast("q")


def round_up(size: int, unit: int = LINE) -> int:
    """The next multiple of ``unit``."""
    return -(-size // unit) * unit


def write_header(memory: Memory, kind: int, fields: Sequence[int]) -> None:
    """Say in the first :data:`LINE` bytes what the memory holds."""
    target = atomic_words(memory, WORD, len(fields))
    for index, value in enumerate(fields):
        target[index] = value
    atomic_words(memory, 0, 1)[0] = kind


def read_header(memory: Memory, kind: int, count: int, what: str) -> list[int]:
    """The fields that :func:`write_header` wrote.

    Raises:
        RunError: if the memory holds something else.
    """
    if memory.size < LINE or atomic_words(memory, 0, 1)[0] != kind:
        raise RunError(
            f"This shared memory does not hold {what}; start the processes of a run with one "
            "version of mario-envkit, and hand them the names that belong to it."
        )
    return atomic_words(memory, WORD, count).tolist()


def kind_of(tag: str) -> int:
    """Eight ASCII characters as the word that marks a kind (and version) of content."""
    return int.from_bytes(tag.encode("ascii"), "little", signed=True)
