"""A stored run together with the trainer that made it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from tyro.conf import Positional

from mario_agents.config import make_config
from mario_agents.run import RunDir
from mario_envkit.plugins import Trainer, load_trainer

RunPath = Annotated[Positional[Path], tyro.conf.arg(metavar="RUN")]
"""The option of a command that works on one run."""


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run, its trainer, and its configuration as that trainer understands it."""

    directory: RunDir
    trainer: Trainer
    config: Any

    @classmethod
    def open(cls, path: Path) -> StoredRun:
        """Open a run.

        Raises:
            RunError: if ``path`` is no run.
            TrainerError: if its trainer is not installed.
            ConfigError: if the installed trainer does not understand its configuration.
        """
        directory = RunDir.open(path)
        trainer = load_trainer(directory.trainer)
        source = str(directory.path / "config.json")
        return cls(
            directory, trainer, make_config(trainer.config_class, directory.options, source=source)
        )
