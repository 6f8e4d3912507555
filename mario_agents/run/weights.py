"""The latest weights of a run, and tensors in safetensors files in general."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from mario_agents.run.directory import RunDir
from mario_envkit.errors import RunError
from mario_envkit.files import replace_file


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


def write_weights(
    run: RunDir, state_dict: Mapping[str, torch.Tensor], metadata: Mapping[str, object]
) -> None:
    """Replace ``weights.safetensors`` of a run in one step; readers see the old or the new one.

    Args:
        run: the run.
        state_dict: tensors by name, any device.
        metadata: such as ``{"step": 12000}``; stored as strings beside the trainer's name.

    Raises:
        RunError: if the disk refuses (full, read-only); the old weights are intact.
    """
    texts = {"trainer": run.trainer, **{key: str(value) for key, value in metadata.items()}}
    tensors = storable(state_dict)
    try:
        replace_file(run.weights_path, lambda path: save_file(tensors, path, metadata=texts))
    except (OSError, SafetensorError) as error:
        raise RunError(
            f"Cannot write {run.weights_path} ({error}); the old weights are intact."
        ) from error


def read_weights(run: RunDir) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Weights on the CPU by name, and the metadata given to :func:`write_weights`.

    Raises:
        RunError: if the run has no weights yet, or the file is damaged.
    """
    path = run.weights_path
    if not path.is_file():
        raise RunError(
            f"The run {run.path} has no weights yet: train it until its first checkpoint."
        )
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise RunError(
            f"The weights {path} are damaged ({error}); resume the run to write them again."
        ) from error
    return tensors, metadata
