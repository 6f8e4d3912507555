"""Short runs in this process, and what they leave behind."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mario_agents.config import TrainConfig
from mario_agents.run import RunDir, read_weights
from mario_agents.run.weights import Which
from mario_agents.runtime.trainer import AlgorithmTrainer


def train(
    trainer: AlgorithmTrainer[Any], config: TrainConfig, path: Path, *, name: str = "test"
) -> Path:
    """A new run, trained to its end."""
    RunDir.create(path, trainer=name, config=config)
    trainer.train(config, path, resume=False)
    return path


def rows(path: Path, source: str = "worker_0") -> list[dict[str, str]]:
    """The metrics that a worker or the coordinator wrote."""
    with (path / f"{source}.csv").open() as file:
        return list(csv.DictReader(file))


def weights(path: Path, which: Which = "latest") -> dict[str, Tensor]:
    return read_weights(RunDir.open(path), which)[0]


def assert_equal(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> None:
    """Bit for bit."""
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert torch.equal(ours[name], theirs[name]), name
