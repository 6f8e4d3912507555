"""Training any recipe, in one process or in many."""

from __future__ import annotations

from typing import Any

from mario_agents.config import TrainConfig
from mario_agents.parallel.local import train_in_process
from mario_agents.parallel.recipe import Recipe
from mario_agents.parallel.supervisor import train_in_processes
from mario_agents.run import CheckpointStore, RunDir


def train(recipe: Recipe[Any, Any], config: TrainConfig, run: RunDir, *, resume: bool) -> None:
    """Train until a budget is used up.

    Args:
        recipe: the algorithm.
        config: of ``recipe.config_class``; the run directory holds the same.
        run: where everything is written.
        resume: whether to go on from the newest checkpoint.

    Raises:
        CheckpointError: if ``resume`` finds no checkpoint that is whole.
        KeyboardInterrupt: after saving, if Ctrl-C or SIGTERM asked to stop.
    """
    store = CheckpointStore(run.checkpoint_path, keep=config.keep_checkpoints)
    checkpoint = store.load_latest() if resume else None
    start = train_in_processes if config.workers else train_in_process
    start(recipe, config, run, checkpoint)
