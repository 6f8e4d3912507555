"""A process that makes checks one after another, and what became of them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

from mario_agents.experiments.process import THREAD_VARIABLES
from tests.gpu.job import WHERE_ARE_YOU, Check, last_line, read_log
from tests.gpu.plan import Machine

Status = Literal["ok", "failed", "hung", "not run"]
ROOT = Path(__file__).parents[2]
LAST_LINES = 60
BEGIN_SECONDS = 120.0
"""A process that has not begun with a check after this time hangs."""

ANSWER_SECONDS = 0.3
"""Time to write where it is."""
OUT_OF_TIME = "out of time; give more --minutes, or choose checks by --only"


class Result(NamedTuple):
    """How a check ended.

    Attributes:
        seconds: from when its process was ready for it.
        said: what it found, or what is wrong: a sentence for each problem.
        log: the end of its output, if it is not ok.
    """

    check: Check
    status: Status
    seconds: float
    said: str
    figures: dict[str, Any]
    log: list[str]


class Host:
    """A process; one that has failed makes no more checks.

    Args:
        machine: where it is.

    Attributes:
        check: what it makes, or has made last.
        usable: whether it can make another one.
    """

    check: Check

    def __init__(self, machine: Machine) -> None:
        self.usable = True
        self._device = machine.device
        self._temporary = tempfile.TemporaryDirectory(
            prefix="gpu-check-", ignore_cleanup_errors=True
        )
        self._folder = Path(self._temporary.name)
        self._log, self._count = self._folder / "log", 0
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.gpu.child"],
                cwd=ROOT,
                stdin=subprocess.PIPE,  # closes with this process, and ends that one
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(machine.threads))},
                start_new_session=True,
            )

    def begin(self, check: Check, limit: float) -> None:
        """Let it make a check, and end it after so many seconds."""
        self.check, self._limit = check, limit
        self._count += 1
        self._work = self._folder / str(self._count)
        files = self._work / "files"
        files.mkdir(parents=True)
        self._began, self._result = self._work / "began", self._work / "result.json"
        self._log_begin = self._log.stat().st_size
        spec = {
            **check._asdict(),
            "device": self._device,
            "folder": str(files),
            "began": str(self._began),
            "result": str(self._result),
            "log": str(self._log),
            "log_begin": self._log_begin,
        }
        self._since, self._ready = time.monotonic(), False
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended, as will be seen
            self._process.stdin.write(json.dumps(spec).encode() + b"\n")
            self._process.stdin.flush()

    def poll(self) -> Result | None:
        """The result, if there is one; a check that takes too long is ended here."""
        if not self._ready and self._began.exists():
            self._since, self._ready = time.monotonic(), True
        status = self._process.poll()
        if self._result.exists():
            found = json.loads(self._result.read_text())
            if found["problems"]:
                said = " ".join(found["problems"])
                return self._ended("failed", said, found["figures"], usable=not found["failed"])
            return self._ended("ok", found["said"], found["figures"], usable=True)
        if status is not None:
            last = last_line(self._text)
            return self._ended("failed", f"its process ended with status {status}: {last}")
        if self._seconds > (self._limit if self._ready else BEGIN_SECONDS):
            said = f"it was not done after {self._seconds:.0f} s; it was at {self._place()}"
            return self._ended("hung", said)
        return None

    def cut(self) -> Result:
        """End the check, for there is no time left."""
        return self._ended("not run", f"{OUT_OF_TIME}; it was ended after {self._seconds:.0f} s")

    def kill(self) -> None:
        """End the process, and what it started."""
        self.usable = False
        with suppress(ProcessLookupError):  # nothing of it is left
            os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Leave nothing behind."""
        self.kill()
        self._process.wait()
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # words that it did not read
            self._process.stdin.close()
        self._temporary.cleanup()

    def _place(self) -> str:
        """Where it is."""
        os.kill(self._process.pid, WHERE_ARE_YOU)
        time.sleep(ANSWER_SECONDS)
        return place_in(self._text)

    @property
    def _text(self) -> str:
        return read_log(self._log, self._log_begin)

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._since

    def _ended(
        self,
        status: Status,
        said: str,
        figures: dict[str, Any] | None = None,
        *,
        usable: bool = False,
    ) -> Result:
        log = [] if status == "ok" else self._text.splitlines()[-LAST_LINES:]
        result = Result(self.check, status, self._seconds, said, figures or {}, log)
        if usable:
            shutil.rmtree(self._work, ignore_errors=True)
        else:
            self.close()
        return result


def place_in(text: str) -> str:
    """Where a process was by the traces of :mod:`faulthandler`, its main thread last."""
    lines = text.splitlines()
    begins = [n for n, line in enumerate(lines) if line.endswith("(most recent call first):")]
    frames = [line.strip() for line in lines[begins[-1] + 1 :]] if begins else []
    ours = [frame for frame in frames if str(ROOT) in frame]
    return next(iter([*ours, *frames]), "a place that it did not say").replace(f"{ROOT}/", "")
