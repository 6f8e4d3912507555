"""The way of one cell: training, the standard with each kind of weights, the result."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import msgspec

from mario_agents.bench.cell_result import (
    CellResult,
    Status,
    Trained,
    gather,
    read_result,
    read_trained,
    write_json,
)
from mario_agents.bench.layout import CellFiles
from mario_agents.bench.plan import BenchPlan, Cell
from mario_agents.bench.process import Child, last_line
from mario_agents.run.directory import LOCK_NAME
from mario_agents.run.lock import sole
from mario_envkit.errors import RunBusy
from mario_envkit.files import replace_text

ORPHAN_SECONDS = 30.0
"""A bench that was killed leaves a process that is about to end: time to wait for it."""


class Job:
    """A cell that is being worked on. Every step of it is a process; its last one writes a file, by
    which a later bench knows that it need not be done again.

    Args:
        cell, plan, files: what is to be done, and where.
        slot: see :class:`~mario_agents.bench.process.Child`.
    """

    def __init__(self, cell: Cell, plan: BenchPlan, files: CellFiles, slot: int) -> None:
        self.cell, self.files, self.slot = cell, files, slot
        self._plan = plan
        self.doing = ""
        self._child: Child | None = None
        self._begin()

    @property
    def training_seconds(self) -> float | None:
        """Since training's process was started; None if it is past training."""
        return self._child.seconds if self._child and self.doing == "training" else None

    @property
    def spawned(self) -> float | None:
        """When the present process was started, Unix seconds."""
        return self._child.spawned if self._child else None

    def poll(self) -> CellResult | None:
        """Go on, if the present process has ended; the result once nothing is left to do."""
        if self._child is None:
            return self._next()
        status = self._child.exit_status
        if status is None:
            return None
        self._child.close()
        if status != 0:
            error = last_line(self.files.log) or f"its process ended with status {status}"
            return self._end(failed=error if status > 0 else f"killed by signal {-status}: {error}")
        if self.doing == "training":
            write_json(self.files.trained, Trained(self._child.spawned, self._child.seconds))
        return self._next()

    def stop(self) -> None:
        """Ask the process to stop; :meth:`close` waits for it."""
        if self._child is not None:
            self._child.ask_to_stop()

    def close(self) -> None:
        """Leave no process behind."""
        if self._child is not None:
            self._child.close()

    # -- steps -------------------------------------------------------------------------------

    def _begin(self) -> None:
        if read_trained(self.files) is None:
            self._clear()
            replace_text(self.files.options, msgspec.json.encode(self.cell.options).decode())
            words = ["train", self.cell.trainer, "--config", str(self.files.options)]
            self._start("training", [*words, "--run-dir", str(self.files.run)])
        else:
            self.files.result.unlink(missing_ok=True)  # it failed, but what it trained is whole

    def _next(self) -> CellResult | None:
        for weights in self._plan.weights:
            out = self.files.standard(weights)
            if not out.exists():
                words = ["eval", str(self.files.run), "--weights", weights, "--out", str(out)]
                words += ["--episodes", str(self._plan.episodes)]
                device = self.cell.options.get("device")
                words += ["--device", str(device)] if device is not None else []
                self._start(f"standard, {weights} weights", words)
                return None
        return self._end()

    def _end(self, failed: str = "") -> CellResult:
        status: Status = "failed" if failed else "finished"
        spawned = self._child.spawned if self._child and self.doing == "training" else None
        result = gather(self.cell, self.files, status=status, error=failed, spawned=spawned)
        write_json(self.files.result, result)
        return result

    def _start(self, doing: str, words: list[str]) -> None:
        self.doing = doing
        jobs = self._plan.jobs
        self._child = Child(words, self.files.log, slot=self.slot, jobs=jobs)

    def _clear(self) -> None:
        """A cell begins at its beginning: half a run's wall clock would tell nothing."""
        if self.files.run.exists():
            _wait_for_orphan(self.files.run)
            shutil.rmtree(self.files.run)
        if self.files.home.exists():
            shutil.rmtree(self.files.home)
        self.files.home.mkdir(parents=True)


def is_finished(files: CellFiles) -> bool:
    """Whether nothing is left to do; a cell that failed is tried again.

    Raises:
        RunError: if its result is damaged.
    """
    result = read_result(files)
    return result is not None and result.status == "finished"


def _wait_for_orphan(run: Path) -> None:
    busy = f"The run {run} is still being trained by {{}}; stop that one first."
    deadline = time.monotonic() + ORPHAN_SECONDS
    while True:
        try:
            with sole(run / LOCK_NAME, busy):
                return
        except RunBusy:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.2)
