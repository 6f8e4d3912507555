"""A command in a terminal of its own, seen from the other side of it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
from collections.abc import Callable
from pathlib import Path

from tests.waiting import PATIENCE, pause, until

ALTERNATE, NORMAL = "\x1b[?1049h", "\x1b[?1049l"
"""Enter the alternate screen, and leave it."""


class Terminal:
    """A pseudo-terminal with a command as the leader of its session."""

    def __init__(
        self, command: list[str], cwd: Path, env: dict[str, str], size: tuple[int, int] = (80, 24)
    ) -> None:
        self.pid, self._fd = pty.fork()
        if self.pid == 0:  # pragma: no cover
            os.chdir(cwd)
            # The size has to be there when the command asks for it.
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
            os.execvpe(command[0], command, {**env, "TERM": "xterm-256color"})
        self.output = ""
        self.status: int | None = None

    @property
    def line_mode(self) -> bool:
        """Whether the terminal is as a shell wants it: echo, lines, and Ctrl-C as a signal."""
        local = termios.tcgetattr(self._fd)[3]
        return all(local & flag for flag in (termios.ECHO, termios.ICANON, termios.ISIG))

    @property
    def alternate(self) -> bool:
        """Whether the alternate screen is shown."""
        return self.output.rfind(ALTERNATE) > self.output.rfind(NORMAL)

    @property
    def left(self) -> str:
        """What was written since the alternate screen was left."""
        return self.output.rpartition(NORMAL)[2]

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._fd, text.encode())

    def until(self, condition: Callable[[], bool], *, patience: float = PATIENCE) -> None:
        """Wait for something."""
        until(condition, self._read, lambda: self.output[-3000:], patience=patience)

    def end(self) -> int:
        """Wait for the end of the command; its exit status."""
        self.until(lambda: self.status is not None)
        for _ in range(20):
            self._read()
        assert self.status is not None
        return self.status

    def _read(self) -> None:
        if select.select([self._fd], [], [], 0.02)[0]:
            try:
                self.output += os.read(self._fd, 1 << 16).decode(errors="replace")
            except OSError:  # everybody has closed it
                pause()
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._fd)


def children_of(pid: int, word: str) -> list[int]:
    """Processes that ``pid`` started with ``word`` in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            words = (path / "cmdline").read_bytes().split(b"\0")  # anybody's need not be text
        except OSError:
            continue
        if parent == pid and word.encode() in words:
            found.append(int(path.name))
    return found
