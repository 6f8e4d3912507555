"""The latest and the best weights of a run, and tensors in safetensors files in general."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save_file

from mario_agents.run.directory import RunDir
from mario_envkit.command_line import showable
from mario_envkit.errors import RunError
from mario_envkit.files import parse_json, replace_file

Which = Literal["best", "latest"]
"""Weights of a run: the best ones of its evaluations, or the latest."""


def weights_path(run: RunDir, which: Which) -> Path:
    """The file of these weights; a run that was never evaluated has latest ones only."""
    best = which == "best" and run.best_path.is_file()
    return run.best_path if best else run.weights_path


def storable(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors as safetensors wants them: on the CPU, contiguous, none sharing memory."""
    stored: dict[str, torch.Tensor] = {}
    storages: set[int] = set()
    for name, tensor in tensors.items():
        plain = tensor.detach().to("cpu")
        address = plain.untyped_storage().data_ptr()
        if not plain.is_contiguous() or address in storages:
            plain = plain.clone(memory_format=torch.contiguous_format)
        storages.add(address)
        stored[name] = plain
    return stored


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors of a safetensors file on the CPU by name, and its metadata.

    Raises:
        OSError, SafetensorError, ValueError: if it cannot be read, or is damaged.
    """
    # A file that safetensors opens stays mapped as long as a tensor of it lives: Windows would
    # neither replace nor remove it.
    if showable(str(path)) == str(path) and sys.platform != "win32":
        with safe_open(path, framework="pt", device="cpu") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, dict(file.metadata() or {})
    raw = path.read_bytes()  # nor does safetensors itself open one whose name is no text
    header = parse_json(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    return load(raw), dict(header.get("__metadata__", {}))


def write_weights(
    run: RunDir,
    state_dict: Mapping[str, torch.Tensor],
    metadata: Mapping[str, object],
    which: Which = "latest",
) -> None:
    """Replace ``weights.safetensors`` or ``best.safetensors`` of a run in one step; readers see the
    old or the new one.

    Args:
        run: the run.
        state_dict: tensors by name, any device.
        metadata: such as ``{"step": 12000}``; stored as strings beside the trainer's name.
        which: the file to replace.

    Raises:
        RunError: if the disk refuses (full, read-only); the old weights are intact.
    """
    texts = {"trainer": run.trainer, **{key: str(value) for key, value in metadata.items()}}
    tensors = storable(state_dict)
    target = run.best_path if which == "best" else run.weights_path
    try:
        replace_file(target, lambda path: save_file(tensors, path, metadata=texts))
    except (OSError, SafetensorError) as error:
        raise RunError(f"Cannot write {target} ({error}); the old weights are intact.") from error


def read_weights(
    run: RunDir, which: Which = "latest"
) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Weights on the CPU by name, and the metadata given to :func:`write_weights`.

    A run that was never evaluated has no best weights: its latest ones take their place.

    Raises:
        RunError: if the run has no weights yet, or the file is damaged.
    """
    path = weights_path(run, which)
    if not path.is_file():
        raise RunError(
            f"The run {run.path} has no weights yet: train it until its first checkpoint."
        )
    try:
        tensors, metadata = read_tensors(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise RunError(
            f"The weights {path} are damaged ({error}); resume the run to write them again."
        ) from error
    return tensors, metadata
