"""What a run writes while it trains, on a disk that may be full.

One policy for every file of a run:

* What must be there when training begins (the configuration, the first checkpoint and weights, the
  sockets' address) is an error before it, or the run could not be resumed.
* What training can do without for a while is tried again later: checkpoints and weights at the next
  checkpoint, the best weights, deaths, snapshots and videos at the next occasion; lines of the CSV
  files, evaluations, the log and TensorBoard events are kept in memory and written with the next.
  That something is missing is told in one sentence, once, and once more when it works again.
* The end of a run that cannot be saved is an error: the sentence says what is missing.

Errors while closing never hide the first one (:mod:`mario_envkit.closing`).
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from mario_agents.run.log_levels import NOTICE
from mario_envkit.errors import MarioEnvkitError, RunError
from mario_envkit.files import append, replace_file

MOST_WAITING = 16 << 20
"""Bytes of a file that wait in memory at most; of more, the oldest are given up."""
RETRY_SECONDS = 5.0
"""Seconds between two tries to write lines to a disk that refuses."""

log = logging.getLogger(__name__)


class Deferrable:
    """Something of a run that may be written later.

    Args:
        what: it is, as the beginning of a sentence.

    Attributes:
        problem: why it is missing, or None.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self.problem: OSError | MarioEnvkitError | None = None

    def attempt(self, write: Callable[[], object]) -> bool:
        """Call ``write``; whether it worked. What goes wrong is told once."""
        try:
            write()
        except (OSError, MarioEnvkitError) as error:
            self.failed(error)
            return False
        self.worked()
        return True

    def failed(self, error: OSError | MarioEnvkitError, what: str = "") -> None:
        """It could not be written; ``what`` says that in other words."""
        first, self.problem = self.problem is None, error  # before the log, which may be a file
        if first:
            reason = (error.strerror or error) if isinstance(error, OSError) else error
            text = f"{what}: {reason}" if what else self._sentence(error)
            log.warning("%s Training goes on, and tries again later.", text)

    def worked(self, more: str = "") -> None:
        """It is there; ``more`` is told if it was not before."""
        if self.problem is not None:
            self.problem = None
            log.log(NOTICE, "%s can be written again.%s", self.what, more)

    def settle(self) -> None:
        """The run ends.

        Raises:
            RunError: if it is missing.
        """
        problem, self.problem = self.problem, None
        if problem is not None:
            raise RunError(
                f"{self._sentence(problem)} The run has ended, and what is missing is lost."
            ) from problem

    def _sentence(self, error: OSError | MarioEnvkitError) -> str:
        if isinstance(error, OSError):
            return f"{self.what} cannot be written: {error.strerror or error}."
        return str(error)


class GrowingFile:
    """A file that only grows, such as a log; what cannot be written waits in memory.

    It has whole pieces only: one that does not fit leaves no half of it.

    Args:
        path: the file; its folder is made if need be.
        begin: what the file begins with, in the place of all that is in it; None goes on with it.
        clock: seconds.
    """

    def __init__(
        self,
        path: Path,
        begin: bytes | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self._clock, self._due = clock, 0.0
        self._state = Deferrable(path.name)
        self._begin = begin
        self._waiting: deque[bytes] = deque()
        self._bytes = self._lost = 0
        self.flush()

    def append(self, piece: bytes) -> None:
        """Add a piece to the end: now, or, where the disk has refused, in a few seconds."""
        self._waiting.append(piece)
        self._bytes += len(piece)
        while self._bytes > MOST_WAITING and len(self._waiting) > 1:
            self._bytes -= len(self._waiting.popleft())
            self._lost += 1
        if self._state.problem is None or self._clock() >= self._due:
            self.flush()

    def flush(self) -> None:
        """Write what waits, at once."""
        if self._begin is None and not self._waiting:
            return
        try:
            self.path.parent.mkdir(exist_ok=True)
            if self._begin is not None:
                begin = self._begin
                replace_file(self.path, lambda temporary: temporary.write_bytes(begin))
                self._begin = None
            append(self.path, b"".join(self._waiting))
        except OSError as error:
            self._due = self._clock() + RETRY_SECONDS
            self._state.failed(error)
            return
        lost, self._lost, self._bytes = self._lost, 0, 0
        self._waiting.clear()
        self._state.worked(f" {lost} entries are missing." if lost else "")

    def close(self) -> None:
        """Write what waits, for the last time; harmless when repeated.

        Raises:
            RunError: if that does not work.
        """
        self.flush()
        self._waiting.clear()
        self._begin = None
        self._state.settle()


class GrowingLog(logging.Handler):
    """Log records as lines of a :class:`GrowingFile`."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = GrowingFile(path)

    def emit(self, record: logging.LogRecord) -> None:
        """Add a record; an error of the disk is told by the other handlers."""
        try:
            line = self.format(record) + "\n"
        except Exception:  # wrong arguments: tell it as every handler does
            self.handleError(record)
            return
        self._file.append(line.encode(errors="replace"))

    def close(self) -> None:
        """Write what waits.

        Raises:
            RunError: if that does not work.
        """
        super().close()
        self._file.close()
