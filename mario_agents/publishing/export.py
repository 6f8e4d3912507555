"""From a run to an agent: what is needed to play, to measure and to go on from, and no more."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import torch

from mario_agents.run import RunDir, Which, read_weights, write_weights

Dtype = Literal["float32", "bfloat16"]

PRIVATE = ("rom", "init", "imitate", "backward", "wandb")
"""Options that say something about the machine of a run, and nothing about its agent."""


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
    write_weights(exported, rounded, metadata, "best")
    return exported


def digest(run: RunDir) -> str:
    """SHA-256 of exported weights, hexadecimal.

    Raises:
        OSError: if they cannot be read.
    """
    return hashlib.sha256(run.best_path.read_bytes()).hexdigest()


def _rounded(tensor: torch.Tensor, dtype: Dtype) -> torch.Tensor:
    """The tensor in ``dtype`` if it is one of float32 numbers: counters stay what they are."""
    return tensor.to(getattr(torch, dtype)) if tensor.dtype == torch.float32 else tensor
