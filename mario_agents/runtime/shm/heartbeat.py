"""Signs of life and counters of every process of a run, in shared memory.

One row per worker and one for the coordinator. A row is written by the process it belongs to and
read by anybody; every entry is a word of its own, so that no reader sees half of one. Rows outlive
their process: a restarted worker :meth:`joins <HeartbeatRow.join>` the row of the dead one and
counts on from where that stopped.
"""

from __future__ import annotations

import os
import time
import zlib
from dataclasses import dataclass

import numpy as np

from mario_agents.runtime.shm.atomics import (
    LINE,
    WORD,
    Fence,
    Memory,
    atomic_words,
    kind_of,
    read_header,
    round_up,
    write_header,
)
from mario_agents.runtime.shm.segments import SharedSegments, attach
from mario_agents.runtime.transport import COUNTERS
from mario_envkit.errors import OptionError

_KIND = kind_of("marioHB1")
_STOP = 0
_PID, _GENERATION, _STARTED, _BEAT = range(4)
_FIRST_COUNTER = 4
_COLUMN = {name: _FIRST_COUNTER + number for number, name in enumerate(COUNTERS)}


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A row as it was at one moment.

    Attributes:
        pid: of the process, 0 if none has joined yet.
        generation: how many processes have joined the row: 1 for the first.
        beat: when it last beat, in seconds of :func:`time.monotonic`.
        age: seconds since then.
        lived: seconds between its joining and its last beat.
        counters: by name, of all generations together.
    """

    pid: int
    generation: int
    beat: float
    age: float
    lived: float
    counters: dict[str, int]


class SharedHeartbeat:
    """Implements :class:`mario_agents.runtime.transport.Board`, and travels to processes that are
    started.

    Attributes:
        name: of the segment, for :meth:`attach`.
        workers: number of workers; rows 0 to ``workers - 1`` are theirs.
        coordinator: number of the coordinator's row.
    """

    def __init__(self, name: str, memory: Memory) -> None:
        """Of memory that is formatted already; use :meth:`create` or :meth:`attach`."""
        self.name = name
        (self.workers, _) = read_header(memory, _KIND, 2, "the heartbeats of this version")
        self.coordinator = self.workers
        # The flag has several writers; it needs no more than a store.
        self._run = atomic_words(memory, LINE, 1)
        step = _row_bytes()
        self._rows = [
            HeartbeatRow(
                atomic_words(memory, 2 * LINE + row * step, _FIRST_COUNTER + len(COUNTERS))
            )
            for row in range(self.workers + 1)
        ]

    @classmethod
    def create(cls, segments: SharedSegments, *, workers: int) -> SharedHeartbeat:
        """Rows for ``workers`` workers and the coordinator, all zero.

        Raises:
            OptionError: if ``workers`` is negative.
        """
        if workers < 0:
            raise OptionError(f"The number of workers cannot be negative, but is {workers}.")
        name, memory = segments.create(2 * LINE + (workers + 1) * _row_bytes())
        return cls._formatted(name, memory, workers)

    @classmethod
    def _formatted(cls, name: str, memory: Memory, workers: int) -> SharedHeartbeat:
        write_header(memory, _KIND, [workers, zlib.crc32(" ".join(COUNTERS).encode())])
        return cls(name, memory)

    @classmethod
    def private(cls, *, workers: int) -> SharedHeartbeat:
        """Rows in this process's own memory, for a run that has no other."""
        memory = np.zeros(2 * LINE + (workers + 1) * _row_bytes(), dtype=np.uint8)
        return cls._formatted("", memory, workers)

    @classmethod
    def attach(cls, name: str) -> SharedHeartbeat:
        """The heartbeats of the run that another process made.

        Raises:
            RunError: if they are gone, or the segment is something else.
        """
        return cls(name, attach(name))

    def __reduce__(self) -> tuple[object, ...]:
        return SharedHeartbeat.attach, (self.name,)

    def row(self, number: int) -> HeartbeatRow:
        """The row of a worker, or of the :attr:`coordinator`."""
        return self._rows[number]

    def total(self, counter: str) -> int:
        """A counter summed over the workers (not the coordinator)."""
        return sum(row.count(counter) for row in self._rows[: self.workers])

    @property
    def stage(self) -> int:
        """How far the end of the run has come: 0 not at all, or as :meth:`stop` and :meth:`finish`
        asked."""
        return self._run[_STOP]

    def reach(self, stage: int) -> None:
        """Take over the :attr:`stage` of another board of the run."""
        self._run[_STOP] = max(self._run[_STOP], stage)

    @property
    def stopping(self) -> bool:
        """Whether somebody asked the run to stop."""
        return self._run[_STOP] != 0

    def stop(self) -> None:
        """Ask the workers to finish what they are at, and end. Any process may."""
        self._run[_STOP] = max(self._run[_STOP], 1)

    @property
    def finishing(self) -> bool:
        """Whether all workers have ended, and the coordinator is to save and end as well."""
        return self._run[_STOP] > 1

    @property
    def completing(self) -> bool:
        """Whether the run is over, so that the coordinator is to evaluate what it ends with."""
        return self._run[_STOP] > 2

    def finish(self, *, complete: bool = True) -> None:
        """Ask the coordinator to end, once no worker is left.

        Args:
            complete: the run's budget is spent; it was not interrupted.
        """
        self._run[_STOP] = 3 if complete else 2


class HeartbeatRow:
    """Implements :class:`mario_agents.runtime.transport.BoardRow`.

    Times are those of :func:`time.monotonic`, which all processes of a machine share.
    """

    def __init__(self, row: memoryview[int]) -> None:
        self._row = row
        self._fence = Fence()
        self._adopted: tuple[int, float] | None = None

    def join(self) -> int:
        """Take the row over for this process, beat, and return the generation (1, 2...).

        The process that had it before must be dead.
        """
        generation = self._row[_GENERATION] + 1
        now = time.monotonic_ns()
        self._row[_PID] = os.getpid()
        self._row[_STARTED] = self._row[_BEAT] = now
        self._fence()
        self._row[_GENERATION] = generation
        return generation

    def adopt(self, told: Heartbeat) -> None:
        """Be like the row of another board, which :meth:`read` gave, perhaps on another machine.

        Clocks of machines differ: the last beat was ``told.age`` before now. It is moved only when
        the process has beaten again, so that its silence is not lost in inexact ages.
        """
        row, now = self._row, time.monotonic_ns()
        if self._adopted != (told.generation, told.beat):
            self._adopted = told.generation, told.beat
            row[_BEAT] = now - int(1e9 * told.age)
            row[_STARTED] = row[_BEAT] - int(1e9 * told.lived)
        for name, count in told.counters.items():
            row[_COLUMN[name]] = count
        row[_PID] = told.pid
        self._fence()
        row[_GENERATION] = told.generation

    def vacate(self) -> None:
        """Say, in the place of a process that is dead, that nobody has the row."""
        self._row[_PID] = 0

    @property
    def taken(self) -> bool:
        """Whether a process has the row, as far as is known."""
        return self._row[_PID] != 0

    @property
    def ever_taken(self) -> bool:
        """Whether any process has ever had the row."""
        return self._row[_GENERATION] != 0

    def beat(self) -> None:
        """Say that the process is alive and moving."""
        self._row[_BEAT] = time.monotonic_ns()

    def add(self, counter: str, amount: int = 1) -> None:
        """Count; killed at any instant, the process has counted all of ``amount`` or nothing."""
        self._row[_COLUMN[counter]] += amount

    def count(self, counter: str) -> int:
        """The counter's value."""
        return self._row[_COLUMN[counter]]

    def read(self) -> Heartbeat:
        """The row as it is now, never a mixture of two generations' pid and times."""
        while True:
            generation = self._row[_GENERATION]
            self._fence()
            row = self._row.tolist()
            self._fence()
            if self._row[_GENERATION] == generation:
                break
        counters = dict(zip(COUNTERS, row[_FIRST_COUNTER:], strict=True))
        age, lived = time.monotonic_ns() - row[_BEAT], row[_BEAT] - row[_STARTED]
        return Heartbeat(row[_PID], generation, row[_BEAT] / 1e9, age / 1e9, lived / 1e9, counters)


def _row_bytes() -> int:
    return round_up((_FIRST_COUNTER + len(COUNTERS)) * WORD)
