"""Gives each check a process, a time limit and its share of the cores, and takes what it found."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

from mario_agents.bench.process import THREAD_VARIABLES
from mario_envkit.vector.cores import available_cores
from tests.gpu.job import Check, last_line

Status = Literal["ok", "failed", "hung", "no time"]
ROOT = Path(__file__).parents[2]
LEAST_BUDGET = 1.0
"""Seconds of training that are worth measuring."""
TOGETHER_SHARE = 0.35
"""Of the time, for the checks that run at once, if others follow them."""
LAST_LINES = 60
PATIENCE, PATIENCE_CPU = 2.0, 8.0
"""A check that takes so many times as long as it should is ended. On a CPU it is mostly slow."""
BUDGET_CPU = 4.0
"""There a run needs so many times as long until it has rows to measure."""
CORES_EACH = 1.33
"""Of a check, when several run at once: much of what they do is waiting."""


class Result(NamedTuple):
    """How a check ended.

    Attributes:
        said: what it found, or what is wrong: a sentence for each problem.
        log: the end of its output, if it is not ok.
    """

    check: Check
    status: Status
    seconds: float
    said: str
    figures: dict[str, Any]
    log: list[str]


class Run:
    """All checks of a call.

    Args:
        device: where they run.
        seconds: for all of them.
        done: is told each result.
        busy: is told the names of those that are running.
    """

    def __init__(
        self,
        device: str,
        seconds: float,
        done: Callable[[Result], object],
        busy: Callable[[Sequence[str]], object] = lambda names: None,
    ) -> None:
        self._device, self._done, self._busy = device, done, busy
        self._patience = PATIENCE_CPU if device == "cpu" else PATIENCE
        self._end = time.monotonic() + seconds
        self._seconds = seconds

    def run(self, checks: Sequence[Check]) -> list[Result]:
        """Make the checks: first several at once, then those of speed one by one."""
        if self._device == "cpu":
            checks = [check._replace(budget=BUDGET_CPU * check.budget) for check in checks]
        together = [check for check in checks if not check.alone]
        alone = [check for check in checks if check.alone]
        slots = max(int(available_cores() / CORES_EACH), 1)
        end = self._end - (self._seconds * (1 - TOGETHER_SHARE) if alone else 0)
        results = self._at_once(together, slots, end)
        for number, check in enumerate(alone):
            rest = alone[number:]
            # What there is for training, once everybody has had time for the rest.
            training = self._left() - sum(each.seconds for each in rest)
            wanted = sum(each.budget for each in rest)
            budget = check.budget * min(training / wanted, 1.0) if wanted else 0.0
            results += self._at_once([check._replace(budget=budget)], 1, self._end)
        return results

    def _left(self) -> float:
        return self._end - time.monotonic()

    def _at_once(self, checks: Sequence[Check], slots: int, end: float) -> list[Result]:
        waiting, running, results = list(checks), list[_Running](), list[Result]()
        try:
            while waiting or running:
                while waiting and len(running) < slots:
                    check = waiting.pop(0)
                    limit = min(
                        self._patience * check.seconds + check.budget, end - time.monotonic()
                    )
                    # The time a process needs to begin is not enough for anything.
                    lacking = check.alone and check.budget < LEAST_BUDGET
                    if lacking or limit < min(check.seconds / 3, 10.0):
                        results.append(_no_time(check))
                        self._done(results[-1])
                        continue
                    running.append(_Running(check, self._device, limit, slots))
                self._busy([each.check.name for each in running])
                for each in list(running):
                    result = each.poll()
                    if result is not None:
                        running.remove(each)
                        results.append(result)
                        self._done(result)
                time.sleep(0.05)
        finally:
            for each in running:
                each.close()
        return results


class _Running:
    """A check in its process."""

    def __init__(self, check: Check, device: str, limit: float, slots: int) -> None:
        self.check, self._limit = check, limit
        self._temporary = tempfile.TemporaryDirectory(
            prefix="gpu-check-", ignore_cleanup_errors=True
        )
        folder = Path(self._temporary.name)
        self._log, self._result = folder / "log", folder / "result.json"
        work = folder / "work"
        work.mkdir()
        spec = folder / "spec.json"
        more = {"device": device, "folder": str(work), "log": str(self._log), "limit": limit}
        spec.write_text(json.dumps({**check._asdict(), **more}))
        # A run sets its own number; other networks are faster without threads that wait for cores.
        threads = str(2 if slots > 1 else 1)
        environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, threads)}
        self._began = time.monotonic()
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.gpu.child", str(spec), str(self._result)],
                cwd=ROOT,
                stdin=subprocess.PIPE,  # closes with this process, and ends that one
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )

    def poll(self) -> Result | None:
        """The result, once it has ended; a check that takes too long is ended here."""
        seconds = time.monotonic() - self._began
        if self._process.poll() is None and seconds < self._limit:
            return None
        hung = self._process.poll() is None
        self._kill()
        try:
            return self._judge(hung, seconds)
        finally:
            self._temporary.cleanup()

    def close(self) -> None:
        """Leave nothing behind."""
        self._kill()
        self._temporary.cleanup()

    def _judge(self, hung: bool, seconds: float) -> Result:
        if hung:
            said = f"it was not done after {seconds:.0f} s; it was at {place_in(self._log)}"
            return self._bad("hung", seconds, said, {})
        if not self._result.exists():
            status = self._process.returncode
            said = f"its process ended with status {status}; last it said: {last_line(self._log)}"
            return self._bad("failed", seconds, said, {})
        found = json.loads(self._result.read_text())
        if found["problems"]:
            return self._bad("failed", seconds, " ".join(found["problems"]), found["figures"])
        return Result(self.check, "ok", seconds, found["said"], found["figures"], [])

    def _bad(self, status: Status, seconds: float, said: str, figures: dict[str, Any]) -> Result:
        lines = self._log.read_text(errors="replace").splitlines()[-LAST_LINES:]
        return Result(self.check, status, seconds, said, figures, lines)

    def _kill(self) -> None:
        """End it, and what it started."""
        with _gone():
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()


def place_in(log: Path) -> str:
    """Where a process was by the traces of :mod:`faulthandler`, its main thread last."""
    lines = log.read_text(errors="replace").splitlines()
    begins = [n for n, line in enumerate(lines) if line.endswith("(most recent call first):")]
    frames = [line.strip() for line in lines[begins[-1] + 1 :]] if begins else []
    ours = [frame for frame in frames if str(ROOT) in frame]
    return next(iter([*ours, *frames]), "a place that it did not say").replace(f"{ROOT}/", "")


@contextmanager
def _gone() -> Iterator[None]:
    try:
        yield
    except ProcessLookupError:  # nothing of it is left
        return


def _no_time(check: Check) -> Result:
    said = "there was no time left for it; give more --minutes, or choose checks by --only"
    return Result(check, "no time", 0.0, said, {}, [])
