"""From a run to an agent: what is needed to play, to measure and to go on from, and no more."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Literal

import torch

from mario_agents.config import TrainConfig
from mario_agents.experiments.cell_result import progress_of
from mario_agents.run import RunDir, Which, read_weights, write_weights

Dtype = Literal["float32", "bfloat16"]

PRIVATE = TrainConfig.PATHS | {"wandb"}
"""Options that say something about the machine of a run, and nothing about its agent."""
_STEPS, _SECONDS = "trained_steps", "trained_seconds"
"""Of the whole training, with exported weights, which have no rows beside them."""


def export_agent(run: RunDir, folder: Path, *, weights: Which, dtype: Dtype) -> RunDir:
    """Copy configuration and weights of a run to a new directory, which is a run as well.

    Args:
        run: the run.
        folder: new or empty.
        weights: the best or the latest; in the copy they are the best.
        dtype: number format of the stored weights: bfloat16 takes half of the space. Networks
            compute as they would, with weights that are rounded to it.

    Raises:
        RunError: if the run has no weights, ``folder`` is not empty, or the disk refuses.
    """
    tensors, metadata = read_weights(run, weights)
    options = {name: None if name in PRIVATE else value for name, value in run.options.items()}
    exported = run.copied(folder, options)
    rounded = {name: _rounded(tensor, dtype) for name, tensor in tensors.items()}
    steps, seconds = training_of(run)
    known = {_STEPS: steps, _SECONDS: seconds}
    metadata |= {name: str(number) for name, number in known.items() if number is not None}
    write_weights(exported, rounded, metadata, "best")
    return exported


def training_of(run: RunDir) -> tuple[int | None, float | None]:
    """Agent steps and seconds of training of a run, or of the one that an agent was exported from;
    None if nothing says so."""
    steps, seconds = progress_of(run)
    if steps is None and seconds is None and run.best_path.is_file():
        metadata = read_weights(run, "best")[1]
        with suppress(KeyError, ValueError):
            steps = int(metadata[_STEPS])
        with suppress(KeyError, ValueError):
            seconds = float(metadata[_SECONDS])
    return steps, seconds


def digest(run: RunDir) -> str:
    """SHA-256 of exported weights, hexadecimal.

    Raises:
        OSError: if they cannot be read.
    """
    return hashlib.sha256(run.best_path.read_bytes()).hexdigest()


def _rounded(tensor: torch.Tensor, dtype: Dtype) -> torch.Tensor:
    """The tensor in ``dtype`` if it is one of float32 numbers: counters stay what they are."""
    return tensor.to(getattr(torch, dtype)) if tensor.dtype == torch.float32 else tensor
