"""A process of low priority that does what training does not wait for."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from multiprocessing import Pipe

from mario_agents.runtime.attended import wait_attended
from mario_agents.runtime.cores import all_cores
from mario_agents.runtime.processes.process import signal_name
from mario_agents.runtime.signals import stop_signals_held
from mario_envkit.errors import MarioEnvkitError

ENTRY = "mario_agents.runtime.processes.background_entry"
_SAFE = ["-P"] if sys.version_info >= (3, 11) else []
"""Modules are not looked for in the working directory, unless this process does so."""
END_SECONDS = 5.0
"""Time that a process has to be gone when it has been killed, or has closed its pipe."""


class ProcessLost(MarioEnvkitError):
    """A background process is gone, or hangs; the sentence says why."""


def available() -> bool:
    """Whether there are background processes: they inherit a pipe, which Windows has another way
    for."""
    return os.name == "posix" and bool(sys.executable)


class BackgroundProcess:
    """Runs ``main`` of a module in a Python of its own; it and this process send messages.

    It is another program, not a copy of this process: the user's main module is not imported, and
    what this process has in memory is unknown to it. Signals of the terminal are for this process.
    When this process is gone, however that came, so is it, at once.

    Args:
        module: has a function ``main(link)``, see
            :class:`~mario_agents.runtime.processes.background_entry.Link`.

    Raises:
        OSError: if it cannot be started.
    """

    def __init__(self, module: str) -> None:
        self._connection, theirs = Pipe()
        self._sending = threading.Lock()
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        try:
            with stop_signals_held():
                self._process = subprocess.Popen(
                    [
                        sys.executable,
                        *_SAFE,
                        "-m",
                        ENTRY,
                        module,
                        str(theirs.fileno()),
                        *map(str, all_cores()),
                    ],
                    stdin=subprocess.DEVNULL,
                    env={**os.environ, "PYTHONPATH": path},
                    pass_fds=[theirs.fileno()],
                )
        except BaseException:
            self._connection.close()
            raise
        finally:
            theirs.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def send(self, message: bytes) -> None:
        """Send a message; waits while the process takes it. May be called by any thread.

        Raises:
            OSError: if the process is gone.
        """
        with self._sending:
            self._connection.send_bytes(message)

    def receive(self, seconds: float) -> bytes | None:
        """The next message, or None if there is none within ``seconds`` of this process's time.

        Raises:
            ProcessLost: if the process has ended.
        """
        try:
            there = wait_attended(self._connection.poll, seconds)
            return self._connection.recv_bytes() if there else None
        except (EOFError, OSError):
            raise ProcessLost(self._reason()) from None

    def kill(self) -> None:
        """End it at once, even if it is stopped; harmless when repeated."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End it at once, and close the pipe, which nobody may be waiting at."""
        self.kill()
        self._connection.close()

    def _reason(self) -> str:
        try:
            status = self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            return "It closed its pipe."
        if status < 0:
            return f"It was killed by {signal_name(-status)}."
        return f"It ended with status {status}."
