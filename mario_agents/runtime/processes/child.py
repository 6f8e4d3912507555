"""Setup and teardown of every child process of a run."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path

import numpy as np

from mario_agents.run import RunDir
from mario_agents.runtime.attached import AttachedRun, RunPlan, Ways, take_part
from mario_agents.runtime.coordinator_main import coordinate
from mario_agents.runtime.shm.segments import remove_after_owner
from mario_agents.runtime.signals import ignore_stop_signals
from mario_agents.runtime.worker_main import work
from mario_agents.telemetry.events import COORDINATOR


def worker_main(
    plan: RunPlan, ways: Ways, segment: str, number: int, generation: int, failure: Connection
) -> None:
    """Entry point of the process of worker ``number``; ``generation`` counts replacements.

    ``segment`` and ``failure`` are those of :func:`run_child`.
    """

    def main(attached: AttachedRun) -> None:
        work(attached, number, generation)

    run_child(plan, ways, segment, f"worker_{number}", generation, failure, main)


def coordinator_main(plan: RunPlan, ways: Ways, segment: str, failure: Connection) -> None:
    """Entry point of the coordinator's process."""
    run_child(plan, ways, segment, COORDINATOR, 0, failure, coordinate)


def run_child(
    plan: RunPlan,
    ways: Ways,
    segment: str,
    source: str,
    generation: int,
    failure: Connection,
    main: Callable[[AttachedRun], None],
) -> None:
    """Run ``main`` as the process ``source``; ends the process with status 1 if it fails.

    Signals of the terminal are for the main process, which asks everybody to stop. If that is
    gone, so is this process.

    Args:
        plan, ways: of the run.
        segment: name of one of the run's segments of shared memory.
        source: name of the process, such as ``worker_0``.
        generation: number of times it has been replaced.
        failure: one sentence about an error is sent there.
        main: does the work.
    """
    ignore_stop_signals()
    np.random.seed()  # noqa: NPY002 - forks begin with one state, and somebody may draw from it
    threading.Thread(target=_die_with_parent, args=[segment], daemon=True).start()
    sentence = take_part(
        lambda: AttachedRun(plan, ways, RunDir.open(Path(plan.run)), source, generation), main
    )
    if sentence is not None:
        failure.send_bytes(sentence.encode())
        raise SystemExit(1)


def _die_with_parent(segment: str) -> None:
    """Wait until the main process is gone, and go as well, whatever else is going on."""
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    try:
        # The main process cannot do it any more, and nobody may come after us.
        remove_after_owner(segment)
    finally:
        os._exit(1)
