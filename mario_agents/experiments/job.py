"""The way of one cell: training, the standard with each kind of weights, the result."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from mario_agents.experiments.cell import Cell, CellFiles, Measuring
from mario_agents.experiments.cell_result import (
    CellResult,
    Status,
    Trained,
    gather,
    read_result,
    read_trained,
    write_json,
)
from mario_agents.experiments.process import Launch, Process, last_line
from mario_agents.run.directory import LOCK_NAME
from mario_agents.run.lock import sole
from mario_envkit.errors import RunBusy
from mario_envkit.files import replace_text

ORPHAN_SECONDS = 30.0
"""Whoever was killed leaves a process that is about to end: time to wait for it."""


class Job:
    """A cell that is being worked on. Every step of it is a process; its last one writes a file, by
    which whoever comes later knows that it need not be done again.

    Args:
        cell, files: what is to be done, and where.
        measuring: what follows after training.
        launch: starts its processes.
    """

    def __init__(self, cell: Cell, files: CellFiles, measuring: Measuring, launch: Launch) -> None:
        self.cell, self.files = cell, files
        self.began = time.monotonic()
        self._measuring, self._launch = measuring, launch
        self.doing = ""
        self._process: Process | None = None
        self._given_up = False
        self._begin()

    @property
    def training_seconds(self) -> float | None:
        """Since training's process was started; None if it is past training."""
        return self._process.seconds if self._process and self.doing == "training" else None

    def poll(self) -> CellResult | None:
        """Go on, if the present process has ended; the result once nothing is left to do. None also
        if it is :attr:`lost`."""
        if self._process is None:
            return self._next()
        status = self._process.exit_status
        if status is None or self.lost:
            return None
        self._process.close()
        if self._given_up:
            return self._end("stopped")
        if status != 0:
            error = self._process.reason or last_line(self.files.log)
            error = error or f"its process ended with status {status}"
            killed = f"killed by signal {-status}: {error}"
            return self._end("failed", error if status > 0 else killed)
        if self.doing == "training":
            process = self._process
            trained = Trained(process.spawned, process.seconds, process.node or "")
            write_json(self.files.trained, trained)
        return self._next()

    @property
    def lost(self) -> bool:
        """Whether it is to begin again, since the machine that worked on it is gone."""
        return self._process is not None and self._process.lost and not self._given_up

    @property
    def node(self) -> str | None:
        """Name of the machine that works on it; "" is this one, None none yet."""
        return self._process.node if self._process else ""

    def fail(self, error: str) -> CellResult:
        """Give it up for good."""
        self.close()
        return self._end("failed", error)

    def stop(self) -> None:
        """Ask the process to stop; :meth:`close` waits for it."""
        if self._process is not None:
            self._process.ask_to_stop()

    def give_up(self) -> None:
        """Stop before the budget is used up: that is its end, with the status "stopped"."""
        self._given_up = True
        self.stop()

    def close(self) -> None:
        """Leave no process behind."""
        if self._process is not None:
            self._process.close()

    # -- steps -------------------------------------------------------------------------------

    def _begin(self) -> None:
        if read_trained(self.files) is None:
            self._clear()
            replace_text(self.files.options, msgspec.json.encode(self.cell.options).decode())
            words: list[str | Path] = ["train", self.cell.trainer, "--config", self.files.options]
            self._start("training", [*words, "--run-dir", self.files.run])
        else:
            self.files.result.unlink(missing_ok=True)  # it failed, but what it trained is whole

    def _next(self) -> CellResult | None:
        for weights in self._measuring.weights:
            out = self.files.standard(weights)
            if not out.exists():
                words: list[str | Path] = ["eval", self.files.run, "--weights", weights]
                words += ["--out", out]
                words += ["--episodes", str(self._measuring.episodes)]
                device = self.cell.options.get("device")
                words += ["--device", str(device)] if device is not None else []
                self._start(f"standard, {weights} weights", words)
                return None
        return self._end("finished")

    def _end(self, status: Status, error: str = "") -> CellResult:
        spawned = self._process.spawned if self._process and self.doing == "training" else None
        result = gather(self.cell, self.files, status=status, error=error, spawned=spawned)
        write_json(self.files.result, result)
        return result

    def _start(self, doing: str, words: Sequence[str | Path]) -> None:
        self.doing = doing
        self._process = self._launch(words, self.files.log)

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
