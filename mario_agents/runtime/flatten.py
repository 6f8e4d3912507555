"""A model's tensors as one flat vector of float32, and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mario_agents.runtime.transport import Numbers
from mario_envkit.errors import TrainerError

_EXACT = (torch.float32, torch.bfloat16, torch.float16)
_ALIGNED = 16
"""Floats in 64 bytes, a line of the processor's cache: where PyTorch's own tensors begin. Matrix
products are faster there, and always the same (MKL's depend on it)."""


def _round_up(floats: int) -> int:
    return -(-floats // _ALIGNED) * _ALIGNED


def numbers(vector: Numbers) -> Tensor:
    """The same memory as a tensor of float32 or bfloat16."""
    if vector.dtype == np.uint16:
        return torch.from_numpy(vector.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(vector)


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One tensor's place in the vector.

    Attributes:
        name: as in ``state_dict``.
        shape, dtype: of the tensor.
        start, stop: its floats in the vector.
    """

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    start: int
    stop: int


class TensorLayout:
    """Where each of a list of tensors lies in a vector of ``size`` float32.

    Tensors of float32, float16 and bfloat16 are stored as numbers, which is exact. Others (the step
    counters of batch norm) are stored bit by bit, in as many floats as they fill; vectors with such
    tensors may be copied, but not be averaged or rounded.

    Each begins at 64 bytes; what is in between belongs to none of them.

    Args:
        tensors: names and tensors, such as ``model.named_parameters()``; the order counts.
        numeric: insist on numbers, as gradients must.

    Attributes:
        specs: one for each tensor.
        size: floats in the vector.

    Raises:
        TrainerError: if there is no tensor, or ``numeric`` and one is not a float of 16 or 32 bits.
    """

    def __init__(self, tensors: Iterable[tuple[str, Tensor]], *, numeric: bool = False) -> None:
        specs: list[TensorSpec] = []
        start = 0
        for name, tensor in tensors:
            floats = tensor.numel()
            if tensor.dtype not in _EXACT:
                if numeric:
                    raise TrainerError(
                        f"The gradient of {name!r} is {tensor.dtype}; workers can share those of "
                        "float32, float16 and bfloat16 parameters only, so make it one of these."
                    )
                # Padded, so that the floats can be viewed as that type.
                floats = _round_up(-(-tensor.numel() * tensor.element_size() // 4))
            stop = start + floats
            specs.append(TensorSpec(name, tuple(tensor.shape), tensor.dtype, start, stop))
            start = _round_up(stop)
        if start == 0:
            raise TrainerError("The model has no numbers to share: it needs trainable parameters.")
        self.specs, self.size, self._numeric = tuple(specs), start, numeric

    @torch.no_grad()
    def pack(self, tensors: Sequence[Tensor], out: Numbers | None = None) -> Numbers:
        """Copy the tensors, on any device, into ``out`` ``(size,)``, or a new vector of float32.

        Numbers of a ``numeric`` layout may be rounded to bfloat16.

        Raises:
            TrainerError: if the tensors or ``out`` do not fit the layout.
        """
        vector = np.zeros(self.size, dtype=np.float32) if out is None else out
        self._check(tensors, vector, narrow=self._numeric)
        target = numbers(vector)
        device = tensors[0].device
        # One transfer from the device, not one for each tensor.
        flat = target if device.type == "cpu" else torch.empty_like(target, device=device)
        for spec, tensor in zip(self.specs, tensors, strict=True):
            self._view(flat, spec).copy_(tensor)
        if flat is not target:
            target.copy_(flat)
        return vector

    @torch.no_grad()
    def unpack(self, vector: NDArray[np.float32], out: Sequence[Tensor]) -> None:
        """Copy ``vector`` ``(size,)`` into the tensors, on any device, in place.

        Raises:
            TrainerError: if the tensors or ``vector`` do not fit the layout.
        """
        self._check(out, vector)
        flat = torch.from_numpy(vector).to(out[0].device)
        for spec, tensor in zip(self.specs, out, strict=True):
            tensor.copy_(self._view(flat, spec))

    def views(self, vector: NDArray[np.float32]) -> list[Tensor]:
        """The tensors inside ``vector``, without a copy; those stored as numbers are float32."""
        flat = torch.from_numpy(vector)
        return [self._view(flat, spec) for spec in self.specs]

    @staticmethod
    def _view(flat: Tensor, spec: TensorSpec) -> Tensor:
        part = flat[spec.start : spec.stop]
        if spec.dtype not in _EXACT:
            count = int(np.prod(spec.shape))
            part = part.view(torch.uint8).view(spec.dtype)[:count]
        return part.view(spec.shape)

    def _check(self, tensors: Sequence[Tensor], vector: Numbers, *, narrow: bool = False) -> None:
        kinds = (np.float32, np.uint16) if narrow else (np.float32,)
        if vector.shape != (self.size,) or vector.dtype not in kinds:
            raise TrainerError(
                f"A vector of this layout is float32 of shape ({self.size},), not {vector.dtype} "
                f"of shape {vector.shape}."
            )
        found = [(tuple(tensor.shape), tensor.dtype) for tensor in tensors]
        wanted = [(spec.shape, spec.dtype) for spec in self.specs]
        if found != wanted:
            raise TrainerError(
                f"Cannot pack {len(found)} tensors in a layout of {len(wanted)}: number, order, "
                "shapes and dtypes must be those that the layout was made of."
            )
