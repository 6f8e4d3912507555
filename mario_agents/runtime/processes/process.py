"""Handles of the child processes of a run, for the main process."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from mario_agents.runtime.shm.heartbeat import HeartbeatRow

_SPAWN = get_context("spawn")
JOINING_SECONDS = 120.0
"""Time that a new process has to import torch and to give its first sign of life."""


class ProcessHandle:
    """One process: started, watched, killed.

    Args:
        name: of the process.
        row: its heartbeat.
        main: its entry point, which gets ``arguments`` and where to send a sentence about an error.
    """

    def __init__(
        self, name: str, row: HeartbeatRow, main: Callable[..., None], *arguments: object
    ) -> None:
        self.name, self.row = name, row
        self._joined_before = row.read().generation
        self._failure, sender = _SPAWN.Pipe(duplex=False)
        self.process: SpawnProcess = _SPAWN.Process(
            target=main, args=(*arguments, sender), name=name
        )
        self.started = time.monotonic()
        self.process.start()
        sender.close()

    @property
    def exit_status(self) -> int | None:
        """None while the process lives; negative if a signal killed it."""
        return self.process.exitcode

    @property
    def joined(self) -> bool:
        """Whether the process has given a sign of life."""
        return self.row.read().generation > self._joined_before

    def silent_for(self) -> float:
        """Seconds since the last sign of life that there should have been."""
        heartbeat = self.row.read()
        if heartbeat.generation > self._joined_before:
            return heartbeat.age
        return max(time.monotonic() - self.started - JOINING_SECONDS, 0.0)

    def kill(self) -> None:
        """End the process at once, even if it is stopped, and leave its row empty."""
        if self.process.is_alive():
            self.process.kill()
        self.join()

    def join(self) -> None:
        """Wait for the end of a process that is dead or about to be, and leave its row empty."""
        self.process.join()
        self.row.vacate()

    def reason(self) -> str:
        """Why the process, which is dead, has ended: a sentence."""
        sentence = _read(self._failure)
        if sentence:
            return sentence
        status = self.exit_status
        if status is not None and status < 0:
            return f"It was killed by {signal_name(-status)}."
        return f"It ended with status {status}."


def _read(failure: Connection) -> str:
    try:
        return failure.recv_bytes().decode(errors="replace") if failure.poll() else ""
    except EOFError:  # it ended without a word
        return ""


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
