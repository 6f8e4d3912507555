"""Does it learn, and how soon? Training until the first greedy clear of 1-1."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

from mario_agents.cli import main
from mario_agents.experiments.measures import Clear, first_clear, points_of
from mario_agents.run import RunDir
from mario_agents.run.records import read_evaluations
from tests.gpu.job import CheckFailed, Found, Job
from tests.gpu.options import LEARNING
from tests.gpu.rows import speed_text, speeds

INTERRUPTED = 128 + signal.SIGINT


def check(job: Job, name: str) -> Found:
    """A preset; it is stopped when an evaluation has seen the flag, or at the end of the budget."""
    what = LEARNING[name]
    path = job.folder / "run"
    watch = _Watch(path)
    try:
        status = main(["train", what.trainer, "--preset", what.preset, "--run-dir", str(path),
                       "--config", str(job.options_file({"ui": False, **what.options})),
                       "--device", job.device, "--max-minutes", str(job.seconds / 60)])  # fmt: skip
        ended = watch.end()
    except KeyboardInterrupt:  # training was over already
        status, ended = INTERRUPTED, watch.end()
    if status not in (0, INTERRUPTED) or (status and not ended):
        raise CheckFailed(f"training ended with status {status}: {job.last_line()}")
    run, clear = RunDir.open(path), _clear(path)
    figures = dict(speeds(run))
    text = speed_text(figures) or "too slow for two rows"
    if clear is None:
        return Found(f"no greedy clear in {job.seconds:.0f} s; {text}", figures)
    figures |= {"clear_step": clear.step}
    if clear.seconds is not None:
        figures["clear_seconds"] = clear.seconds
    when = "" if clear.seconds is None else f" after {clear.seconds:.0f} s"
    return Found(f"first greedy clear{when}, {clear.step:,} steps; {text}", figures)


def _clear(path: Path) -> Clear | None:
    file = path / "evaluations.jsonl"
    return first_clear(points_of(read_evaluations(file)[0])) if file.exists() else None


class _Watch:
    """Interrupts this process once an evaluation of a run has seen the flag."""

    def __init__(self, path: Path) -> None:
        self._path, self._over, self._interrupted = path, threading.Event(), False
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> bool:
        """Watch no more; returns whether it has interrupted this process."""
        self._over.set()
        self._thread.join()
        return self._interrupted

    def _watch(self) -> None:
        while not self._over.wait(0.2):
            if _clear(self._path) is not None:
                self._interrupted = True
                os.kill(os.getpid(), signal.SIGINT)
                return
