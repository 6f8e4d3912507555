"""Setup and teardown of every child process of a run."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mario_agents.config import TrainConfig, make_config
from mario_agents.core.algorithm import Algorithm, Spaces, algorithm_named
from mario_agents.run import RunDir
from mario_agents.runtime.cores import torch_threads
from mario_agents.runtime.experience import StepChannels
from mario_agents.runtime.shm.heartbeat import SharedHeartbeat
from mario_agents.runtime.shm.segments import remove_after_owner
from mario_agents.runtime.signals import ignore_stop_signals
from mario_agents.runtime.transport import GradientPool, Weights
from mario_agents.telemetry.events import EventLogHandler, EventPublisher
from mario_envkit.errors import MarioEnvkitError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ProcessPlan:
    """All that a process needs to know of its run: plain values, and the ways to the others.

    Attributes:
        run: the run directory.
        algorithm: by its name, see :func:`~mario_agents.core.algorithm.name_of`.
        options: the configuration as plain values.
        spaces: of the environments.
        pool, steps: the ways of the workers' gradients, or of their steps; the other is None.
        weights, heartbeat: the ways to the others, see :mod:`mario_agents.runtime.transport`.
        events, token: where events go, and the token they carry.
        checkpoint: name of the checkpoint that the run continues from, or None.
        step: agent steps of that checkpoint, or 0.
        games: where the curriculum is by that checkpoint, if it is one of a run in one process.
        began: when training began, on the clock of :func:`time.monotonic`.
    """

    run: str
    algorithm: str
    options: dict[str, Any]
    spaces: Spaces
    pool: GradientPool | None
    steps: StepChannels | None
    weights: Weights
    heartbeat: SharedHeartbeat
    events: str
    token: str
    checkpoint: str | None
    step: int
    games: dict[str, Any] | None
    began: float


class AttachedRun:
    """A run as a child sees it: its plan, with the objects that the plan names."""

    def __init__(self, plan: ProcessPlan, source: str, generation: int) -> None:
        self.plan = plan
        self.algorithm: Algorithm[Any, Any] = algorithm_named(plan.algorithm)
        self.config: TrainConfig = make_config(
            self.algorithm.config_class, plan.options, source=f"{plan.run}/config.json"
        )
        self.run = RunDir.open(Path(plan.run))
        self.weights, self.heartbeat = plan.weights, plan.heartbeat
        self.publisher = EventPublisher(
            plan.events, run=plan.token, source=source, generation=generation
        )


def run_child(
    plan: ProcessPlan,
    source: str,
    generation: int,
    failure: Connection,
    main: Callable[[AttachedRun], None],
) -> None:
    """Run ``main`` as the process ``source``; ends the process with status 1 if it fails.

    Signals of the terminal are for the main process, which asks everybody to stop. If that is
    gone, so is this process.

    Args:
        plan: of the run.
        source: name of the process, such as ``worker_0``.
        generation: number of times it has been replaced.
        failure: one sentence about an error is sent there.
        main: does the work.
    """
    ignore_stop_signals()
    np.random.seed()  # noqa: NPY002 - forks begin with one state, and somebody may draw from it
    threading.Thread(target=_die_with_parent, args=[plan], daemon=True).start()
    try:
        attached = AttachedRun(plan, source, generation)
        torch.set_num_threads(torch_threads(attached.config))
        _log_to(attached.publisher)
        try:
            main(attached)
        except Exception:
            log.exception("This process ends with an error.")
            raise
        finally:
            attached.publisher.close()
    except MarioEnvkitError as error:
        failure.send_bytes(str(error).encode())
        raise SystemExit(1) from None
    except Exception as error:
        failure.send_bytes(f"{type(error).__name__}: {error}".encode())
        raise SystemExit(1) from None


def _die_with_parent(plan: ProcessPlan) -> None:
    """Wait until the main process is gone, and go as well, whatever else is going on."""
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    try:
        # The main process cannot do it any more, and nobody may come after us.
        remove_after_owner(plan.heartbeat.name)
    finally:
        os._exit(1)


def _log_to(publisher: EventPublisher) -> None:
    """Send this process's log to the main process, which writes it down."""
    handler = EventLogHandler(publisher)
    for package in ("mario_agents", "mario_envkit"):
        root = logging.getLogger(package)
        root.setLevel(logging.INFO)
        root.propagate = False
        root.addHandler(handler)
