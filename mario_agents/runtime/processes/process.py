"""Handles of the child processes of a run, for the main process."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from pathlib import Path

import mario_agents
from mario_agents.runtime.attended import AttendedClock
from mario_agents.runtime.shm.heartbeat import HeartbeatRow
from mario_agents.runtime.signals import stop_signals_held
from mario_envkit.errors import RunError

PRELOADED = "mario_agents.runtime.processes.preloaded"
MAX_FORKED = 100
"""Workers that a fork server is asked for: it passes 256 descriptors on to a process, and there are
two for each worker."""
_UNKNOWN = 255
"""Exit status of every process, living or not, whose fork server is gone."""
JOINING_SECONDS = 120.0
"""Time that a new process has to import torch and to give its first sign of life."""


def process_context(workers: int) -> BaseContext:
    """How the processes of a run with so many workers are started: as forks of a server that has
    imported everything already, where there is such a thing, for three processes that import torch
    at the same time take seconds. The server begins to import when this is called; it ends with
    this process."""
    if workers > MAX_FORKED or "forkserver" not in get_all_start_methods() or _shadowed():
        return get_context("spawn")
    from multiprocessing import forkserver, resource_tracker  # which Windows does not have

    context = get_context("forkserver")
    context.set_forkserver_preload([PRELOADED])
    resource_tracker.ensure_running()  # unblocks signals when it starts, which is not to be below
    with stop_signals_held():
        forkserver.ensure_running()
    return context


def await_server(context: BaseContext) -> None:
    """Wait until processes can be started at once: their server may still import.

    Whoever waits here may be interrupted, unlike those who start the processes of a run.

    Raises:
        RunError: if it has ended.
    """
    if context.get_start_method() != "forkserver":
        return
    try:
        context.Process(target=_nothing).start()  # type: ignore[attr-defined]
    except (EOFError, ConnectionError) as error:
        raise RunError(
            "The server that forks the processes of the run ended while it started, perhaps killed "
            "for want of memory; free some, or train with --workers 0."
        ) from error


def _nothing() -> None:
    pass


def _shadowed() -> bool:
    """Whether a fork server would import another package of our name than this process: it looks in
    the working directory first."""
    here = Path("mario_agents")
    return here.is_dir() and not here.samefile(Path(mario_agents.__file__).parent)


class ProcessHandle:
    """One process: started, watched, killed.

    Args:
        context: as :func:`process_context` gives it.
        name: of the process.
        row: its heartbeat.
        main: its entry point, which gets ``arguments`` and where to send a sentence about an error.
    """

    def __init__(
        self,
        context: BaseContext,
        name: str,
        row: HeartbeatRow,
        main: Callable[..., None],
        *arguments: object,
    ) -> None:
        self.name, self.row = name, row
        self._joined_before, self._beat = row.read().generation, 0.0
        self._clock, self._heard = AttendedClock(), 0.0
        self._failure, sender = context.Pipe(duplex=False)
        self.process = context.Process(target=main, args=(*arguments, sender), name=name)  # type: ignore[attr-defined]
        with stop_signals_held():
            self.process.start()
        sender.close()

    @property
    def exit_status(self) -> int | None:
        """None while the process lives; negative if a signal killed it."""
        status: int | None = self.process.exitcode
        return status

    @property
    def joined(self) -> bool:
        """Whether the process has given a sign of life."""
        return self.row.read().generation > self._joined_before

    def silent_for(self) -> float:
        """Seconds since the last sign of life that there should have been, of those in which this
        process ran; to be asked often."""
        heartbeat, now = self.row.read(), self._clock()
        if heartbeat.generation == self._joined_before:
            return max(now - JOINING_SECONDS, 0.0)
        if heartbeat.beat > self._beat:
            self._beat, self._heard = heartbeat.beat, now
        return now - self._heard

    def kill(self) -> None:
        """End the process at once, even if it is stopped, and leave its row empty."""
        if sys.platform == "win32":
            raise NotImplementedError
        if self.exit_status in (None, _UNKNOWN):
            with suppress(ProcessLookupError, PermissionError):  # it may be somebody else by now
                os.kill(self.process.pid, signal.SIGKILL)
        self.join()

    def join(self) -> None:
        """Wait for the end of a process that is dead or about to be, and leave its row empty."""
        self.process.join()
        self.row.vacate()

    def reason(self) -> str:
        """Why the process, which is dead, has ended: a sentence."""
        if sys.platform == "win32":
            raise NotImplementedError
        sentence = _read(self._failure)
        if sentence:
            return sentence
        status = self.exit_status
        if status == _UNKNOWN:
            return "The server that forked it is gone, perhaps killed for want of memory."
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
