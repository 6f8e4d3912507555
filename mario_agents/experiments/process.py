"""A command of ``mario-agents`` in a process of its own, on the cores it may use."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

from mario_envkit.vector.cores import available_cores

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
STOP_SECONDS = 60.0
"""Time to end after being asked; then it is killed."""
LAST_BYTES = 20_000


class Process(Protocol):
    """A command of ``mario-agents`` that runs somewhere; here it is a :class:`Child`.

    Attributes:
        spawned: when it was started, Unix seconds of the machine that it runs on.
    """

    spawned: float

    @property
    def exit_status(self) -> int | None:
        """None while it runs; negative for a signal that killed it."""

    @property
    def lost(self) -> bool:
        """Whether the machine that it ran on is gone, and the process with it."""

    @property
    def reason(self) -> str:
        """Why it failed, if that is not the last line that it printed."""

    @property
    def node(self) -> str | None:
        """Name of the machine that it runs on; "" is this one, None none yet."""

    @property
    def seconds(self) -> float:
        """Since it was started."""

    def ask_to_stop(self) -> None:
        """Interrupt it, as Ctrl-C does; it is killed if it takes too long. Harmless when
        repeated."""

    def close(self) -> None:
        """Leave nothing of it behind."""


Launch = Callable[[Sequence["str | Path"], Path], Process]
"""Starts the command of these words, those of type Path being files of the job; what it prints
goes to the end of the file."""

Launcher = Callable[[int, int], Launch]
"""Starts the processes of one slot, of which it is told the number, and how many there are."""


def threads_for(jobs: int) -> int | None:
    """Threads of each of ``jobs`` processes; None, which is no limit, if there is only one."""
    return max(available_cores() // jobs, 1) if jobs > 1 else None


class Child:
    """A command of ``mario-agents`` in a process of its own.

    Args:
        words: of the command.
        log: takes what it prints, at its end.
        slot, jobs: it is the ``slot``-th of ``jobs`` processes that run at once: it gets its share
            of the cores, and where the system can do that, cores of its own.
        threads: of each of its libraries, if that is not its share of the cores.

    Attributes:
        spawned: when it was started, Unix seconds.
    """

    lost, reason, node = False, "", ""

    def __init__(
        self,
        words: Sequence[str | Path],
        log: Path,
        *,
        slot: int,
        jobs: int,
        threads: int | None = None,
    ) -> None:
        environment = dict(os.environ)
        threads = threads or threads_for(jobs)
        if threads is not None:
            environment.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
        command = [sys.executable, "-m", "mario_agents.child_entry", *map(str, words)]
        self._began = time.monotonic()
        self._kill_at: float | None = None
        with log.open("ab") as output, _on_cores(slot, jobs):
            self.spawned = time.time()
            # In a session, or group, of its own: Ctrl-C reaches the bench or sweep alone.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )

    @property
    def exit_status(self) -> int | None:
        """None while it runs. Once asked to stop, it has :data:`STOP_SECONDS`."""
        status = self._process.poll()
        if status is None and self._kill_at is not None and time.monotonic() > self._kill_at:
            self._process.kill()
        return status

    @property
    def seconds(self) -> float:
        """Since it was started."""
        return time.monotonic() - self._began

    def ask_to_stop(self) -> None:
        """Interrupt it, as Ctrl-C does; harmless when repeated."""
        if self._kill_at is None:
            self._kill_at = time.monotonic() + STOP_SECONDS
        assert self._process.stdin is not None
        self._process.stdin.close()

    def wait(self, seconds: float = STOP_SECONDS) -> None:
        """Wait for its end; kill it if that takes longer."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """Leave no process and no pipe behind."""
        self.ask_to_stop()
        self.wait()


def on_this_machine(slot: int, jobs: int) -> Launch:
    """Starts processes here, on the ``slot``-th of ``jobs`` shares of the cores."""
    return partial(Child, slot=slot, jobs=jobs)


def last_line(log: Path) -> str:
    """The last line of a log that says something."""
    with log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - LAST_BYTES, 0))
        lines = file.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


@contextmanager
def _on_cores(slot: int, jobs: int) -> Iterator[None]:
    """Give what is started here the ``slot``-th share of the cores, if there are enough."""
    if jobs == 1 or sys.platform != "linux":
        yield
        return
    everything = os.sched_getaffinity(0)
    cores = sorted(everything)
    each = len(cores) // jobs
    if each == 0:
        yield
        return
    # Of this thread alone, but a child inherits it.
    os.sched_setaffinity(0, cores[slot * each : (slot + 1) * each])
    try:
        yield
    finally:
        os.sched_setaffinity(0, everything)
