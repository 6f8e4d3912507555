"""Training any algorithm, in one process or in many."""

from __future__ import annotations

import logging
from typing import Any

from mario_agents.config import TrainConfig
from mario_agents.core.algorithm import Algorithm
from mario_agents.run import CheckpointStore, RunDir
from mario_agents.runtime.local import train_in_process
from mario_agents.runtime.processes.supervisor import train_in_processes
from mario_agents.runtime.rewind import rewind

log = logging.getLogger(__name__)


def train(
    algorithm: Algorithm[Any, Any], config: TrainConfig, run: RunDir, *, resume: bool
) -> None:
    """Train until a budget is used up.

    Args:
        algorithm: the algorithm.
        config: of ``algorithm.config_class``; the run directory holds the same.
        run: where everything is written.
        resume: whether to go on from the newest checkpoint.

    Raises:
        CheckpointError: if ``resume`` finds no checkpoint that is whole.
        RunError: if what must be there at the beginning, or the end, cannot be written; see
            :mod:`mario_agents.run.storage`.
        KeyboardInterrupt: after saving, if Ctrl-C, SIGTERM or SIGHUP asked to stop.
    """
    store = CheckpointStore(run.checkpoint_path, keep=config.keep_checkpoints)
    checkpoint = store.load_latest() if resume else None
    if checkpoint is not None:
        rewind(run, checkpoint.step)
        log.info("Going on from step %d; rows and evaluations after it were cut.", checkpoint.step)
    start = train_in_processes if config.workers else train_in_process
    start(algorithm, config, run, checkpoint)
