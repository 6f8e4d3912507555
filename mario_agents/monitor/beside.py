"""The dashboard beside the training that it shows: a process of its own at the same terminal.

That is the robust way: training and dashboard share nothing but a socket that drops what nobody
reads, so that a dashboard that is slow, stopped, crashed or killed cannot hold up an update or harm
a run. While it has the terminal, nobody else writes there: what the run's processes print is kept,
and printed afterwards.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO

from mario_agents.telemetry.progress import Display, TrainingProgress

try:
    import termios
except ImportError:  # Windows
    termios = None  # type: ignore[assignment]

END_SECONDS = 5.0
"""Time that the dashboard has to give the terminal back."""
MAX_ECHO = 20_000
"""Bytes that are printed of what was kept; the latest."""
RESTORE = "\x1b[?1049l\x1b[?25h\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?2004l\x1b[?1004l\x1b[<u\x1b[0m"  # noqa: E501
"""Leave the alternate screen, show the cursor, end reports of mouse, paste, focus and keys."""

log = logging.getLogger(__name__)


def open_beside(run_path: Path, total_steps: int, *, initial_step: int, enabled: bool) -> Display:
    """A dashboard if it is enabled and there is a terminal for it, else a progress line; an
    :class:`~mario_agents.telemetry.progress.OpenDisplay`."""
    if enabled and interactive():
        return DashboardBeside(run_path, total_steps, initial_step=initial_step)
    return TrainingProgress(total_steps, initial_step=initial_step)


def interactive() -> bool:
    """Whether somebody sits at a terminal that a dashboard can have for itself."""
    if sys.platform == "win32" or os.environ.get("TERM", "dumb") == "dumb":
        return False
    if not all(os.isatty(stream) for stream in (0, 1, 2)):
        return False
    # In the background a process that reads from the terminal is stopped.
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:  # the terminal of another session
        return False


class DashboardBeside:
    """Shows a run by a dashboard in another process; if that ends first, by a progress line.

    Args:
        run_path: the run, whose main process this is.
        total_steps, initial_step: as for
            :class:`~mario_agents.telemetry.progress.TrainingProgress`.
    """

    def __init__(self, run_path: Path, total_steps: int, *, initial_step: int) -> None:
        self._run_path = run_path
        # Takes in everything, and is entered, so that it shows, when the dashboard is gone.
        self._line = TrainingProgress(total_steps, initial_step=initial_step)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> DashboardBeside:
        if sys.platform == "win32":
            raise NotImplementedError
        self._terminal = termios.tcgetattr(0)
        self._streams = _flush_and_copy()
        command = [sys.executable, "-m", "mario_agents.monitor"]
        try:
            self._kept: IO[bytes] = tempfile.TemporaryFile()
            self._process = subprocess.Popen(
                [*command, str(self._run_path), str(os.getpid())],
                stdout=self._streams[0],
                stderr=self._streams[1],
            )
        except OSError as error:  # no memory or no space for it, for instance
            log.warning("The dashboard cannot be started: %s.", error.strerror)
            self._line.__enter__()
            return self
        for stream in (1, 2):
            os.dup2(self._kept.fileno(), stream)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()
        self._line.__exit__(kind, error, trace)

    def update(self, step: int, **values: float) -> None:
        """Keep the latest values for the progress line that follows a dashboard that has ended."""
        self._line.update(step, **values)
        if self._process is not None and self._process.poll() is not None:
            self._end()

    def _end(self) -> None:
        """Take the terminal back, whatever became of the dashboard; harmless when repeated."""
        if self._process is None:
            return
        process, self._process = self._process, None
        failed = bool(process.poll())
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        status = process.returncode
        self._take_terminal(orderly=status == 0)
        if failed:
            log.warning("The dashboard ended with status %d; training goes on without.", status)
        self._line.__enter__()

    def _take_terminal(self, *, orderly: bool) -> None:
        if sys.platform == "win32":
            raise NotImplementedError
        for stream, copy in zip((1, 2), _flush_and_copy(self._streams), strict=True):
            os.dup2(copy, stream)
            os.close(copy)
        # A dashboard that was killed may have left the terminal in any state. Setting it from the
        # background would stop this process.
        before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        try:
            with suppress(termios.error):  # its window was closed
                termios.tcsetattr(0, termios.TCSADRAIN, self._terminal)
        finally:
            signal.signal(signal.SIGTTOU, before)
        if not orderly:
            sys.stderr.write(RESTORE)
        size = self._kept.seek(0, os.SEEK_END)
        self._kept.seek(max(size - MAX_ECHO, 0))
        sys.stderr.write(self._kept.read().decode(errors="replace"))
        sys.stderr.flush()
        self._kept.close()


def _flush_and_copy(copies: tuple[int, int] | None = None) -> tuple[int, int]:
    """Write out what Python holds back; copies of the output streams unless there are some."""
    sys.stdout.flush()
    sys.stderr.flush()
    return (os.dup(1), os.dup(2)) if copies is None else copies
