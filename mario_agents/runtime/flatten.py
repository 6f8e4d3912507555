"""A model's tensors as one flat vector of float32, and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mario_envkit.errors import TrainerError

_EXACT = (torch.float32, torch.bfloat16, torch.float16)


def _round_up(floats: int) -> int:
    """To the 16 bytes of the widest type there is."""
    return -(-floats // 4) * 4


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
                # Aligned and padded, so that the floats can be viewed as that type.
                start = _round_up(start)
                floats = _round_up(-(-tensor.numel() * tensor.element_size() // 4))
            stop = start + floats
            specs.append(TensorSpec(name, tuple(tensor.shape), tensor.dtype, start, stop))
            start = stop
        if start == 0:
            raise TrainerError("The model has no numbers to share: it needs trainable parameters.")
        self.specs, self.size = tuple(specs), start

    @torch.no_grad()
    def pack(
        self, tensors: Sequence[Tensor], out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Copy the tensors, on any device, into ``out`` ``(size,)``, or a new vector.

        Raises:
            TrainerError: if the tensors or ``out`` do not fit the layout.
        """
        vector = np.zeros(self.size, dtype=np.float32) if out is None else out
        self._check(tensors, vector)
        target = torch.from_numpy(vector)
        device = tensors[0].device
        # One transfer from the device, not one for each tensor.
        flat = target if device.type == "cpu" else torch.empty(self.size, device=device)
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

    def _check(self, tensors: Sequence[Tensor], vector: NDArray[np.float32]) -> None:
        if vector.shape != (self.size,) or vector.dtype != np.float32:
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
