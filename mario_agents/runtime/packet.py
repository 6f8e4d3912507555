"""What a worker sends after a few batches: gradients, and how the learner's statistics moved."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mario_agents.core.gradients import Gradients, trainable
from mario_agents.core.types import Learner
from mario_agents.runtime.flatten import TensorLayout, numbers
from mario_agents.runtime.transport import Numbers
from mario_envkit.errors import TrainerError

_PARTS = 3
"""Numbers of bfloat16, 8 bits of mantissa each, that add up to one of float32."""


class PacketLayout:
    """How the gradients and :meth:`~mario_agents.core.types.Learner.statistics` of a learner lie
    in a vector of ``size`` float32.

    A worker sends what its statistics are, and what they were before the batches of the packet.
    The owner of the weights moves its own by the difference, as it moves the weights by a gradient:
    what others have found since this worker last had the newest statistics is kept. Where nothing
    came in between, they are those of the worker, bit for bit.

    Vectors may be averaged, and rounded to bfloat16: a statistic that moves by a thousandth of
    itself would stand still in bfloat16, and so is sent as a sum of numbers that bfloat16 holds
    exactly.

    Raises:
        TrainerError: if a gradient or a statistic cannot be sent.
    """

    def __init__(self, learner: Learner) -> None:
        named = learner.model.named_parameters()
        self._gradients = TensorLayout([(n, p) for n, p in named if p.requires_grad], numeric=True)
        self._device = trainable(learner.model)[0].device
        self._statistics = list(learner.statistics().values())
        for name, tensor in learner.statistics().items():
            if tensor.dtype != torch.float32:
                raise TrainerError(f"The statistic {name!r} is {tensor.dtype}; it must be float32.")
        self._counts = [tensor.numel() for tensor in self._statistics]
        self.size = self._gradients.size + 2 * _PARTS * sum(self._counts)
        self._before = self._flat()

    def moved(self) -> Tensor:
        """How the statistics moved by the batches that are in no packet yet: a vector."""
        return self._flat() - self._before

    def count_from_here(self, moved: Tensor) -> None:
        """The learner's statistics have been replaced by the newest: they move from there, first by
        what they had :meth:`moved` before."""
        self._before = self._flat()
        if moved.any():
            self._write(self._before + moved)

    def pack(self, gradients: Gradients, out: Numbers) -> None:
        """Copy gradients, and how the statistics moved since the last packet, into ``out``
        ``(size,)``; bfloat16 is rounded to the nearest, ties to even."""
        self._gradients.pack(gradients, out=out[: self._gradients.size])
        if self._statistics:
            after = self._flat()
            rest = torch.cat([after, self._before])
            parts = numbers(out[self._gradients.size :]).view(_PARTS, -1)
            for part in parts:
                part.copy_(rest.to(torch.bfloat16))
                rest -= part
            self._before = after

    def gradients(self, vector: NDArray[np.float32]) -> Gradients:
        """The gradients in ``vector`` ``(size,)``, on the learner's device; on the CPU without a
        copy."""
        packed = vector[: self._gradients.size]
        if self._device.type == "cpu":
            return self._gradients.views(packed)
        shapes = [(spec.shape, spec.dtype) for spec in self._gradients.specs]
        found = [torch.empty(shape, dtype=dtype, device=self._device) for shape, dtype in shapes]
        self._gradients.unpack(packed, found)
        return found

    @torch.no_grad()
    def move_statistics(self, vector: NDArray[np.float32]) -> None:
        """Move the learner's statistics by as much as those in ``vector`` ``(size,)`` moved."""
        if not self._statistics:
            return
        parts = torch.from_numpy(vector[self._gradients.size :]).view(_PARTS, -1)
        # From the smallest on: the other way round the sum is not always exact.
        after, before = ((parts[2] + parts[1]) + parts[0]).chunk(2)
        # In this order the difference of equal numbers is 0, and nothing is rounded.
        self._write(after + (self._flat() - before))

    @torch.no_grad()
    def _write(self, flat: Tensor) -> None:
        for tensor, values in zip(self._statistics, torch.split(flat, self._counts), strict=True):
            tensor.copy_(values.view(tensor.shape))

    def _flat(self) -> Tensor:
        """A copy of the learner's statistics as one vector, on the CPU."""
        flat = [tensor.detach().flatten().cpu() for tensor in self._statistics]
        return torch.cat(flat) if flat else torch.empty(0)
