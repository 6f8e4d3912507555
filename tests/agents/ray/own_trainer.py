"""Somebody's own trainer, installed in a folder that is on the module path of commands only."""

from __future__ import annotations

from pathlib import Path

MODULE = '''
"""The toy, of somebody's own."""
import os

from mario_agents.runtime.trainer import AlgorithmTrainer
from mario_agents.testing.toy import ToyAlgorithm


class MyAlgorithm(ToyAlgorithm):
    def learner(self, config, spaces):
        {check}
        return super().learner(config, spaces)


TRAINER = AlgorithmTrainer(MyAlgorithm(), "Somebody's own.")
'''


def install(folder: Path, *, check: str = "pass") -> None:
    """Put the package ``my_trainer`` there as an installed distribution; ``check`` is a statement
    for every process that learns."""
    package, info = folder / "my_trainer", folder / "my_trainer-1.0.dist-info"
    for made in (package, info):
        made.mkdir(parents=True)
    (package / "__init__.py").write_text(MODULE.format(check=check))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-trainer\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[mario_envkit.trainers]\nmy_trainer = my_trainer:TRAINER\n"
    )
