"""From a batch to gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mario_agents.core.graphed import Capture, Computed, GraphedComputation
from mario_agents.core.types import Batch, Learner
from mario_envkit.errors import CheckpointError

Gradients = list[Tensor]
"""One tensor for each trainable parameter, in the order of :func:`trainable`."""


def trainable(module: torch.nn.Module) -> list[torch.nn.Parameter]:
    """The parameters that gradients are computed for, in a fixed order."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


class DeviceBatch(dict[str, Any]):
    """What a learner made of a batch of arrays (:meth:`~mario_agents.core.types.Learner.prepare`),
    as tensors on its device."""

    def __init__(self, learner: Learner, batch: Mapping[str, Any], device: torch.device) -> None:
        super().__init__(
            (name, _moved(array, device)) for name, array in learner.prepare(batch).items()
        )


class GradientComputer:
    """Computes the mean gradients of a few batches; reads the model, and never changes it.

    Applying gradients is the business of :class:`~mario_agents.core.updater.Updater`, in this
    process or another one.

    Args:
        learner: has a loss for each batch.
        device: where its model is.
        capture: records what is computed, see :mod:`mario_agents.core.graphed`; None computes every
            batch operation by operation.
    """

    def __init__(
        self, learner: Learner, device: torch.device, capture: Capture | None = None
    ) -> None:
        self.learner, self.device = learner, device
        self.batches = 0
        """Batches since the last :meth:`take`."""
        self._parameters = trainable(learner.model)
        self.computation = GraphedComputation(self._computed, capture)
        """Of a batch; says whether it is recorded."""
        self._sum: Gradients = []

    def add(self, batch: Mapping[str, Any]) -> Mapping[str, Tensor]:
        """Take in the gradients of a batch of arrays, or of a :class:`DeviceBatch`; returns what
        the learner measured on it, scalars on the CPU."""
        if not isinstance(batch, DeviceBatch):
            batch = DeviceBatch(self.learner, batch, self.device)
        gradients, names, numbers, measured = self.computation(batch)
        if self.batches:
            torch._foreach_add_(self._sum, gradients)
        else:
            self._sum = gradients
        self.batches += 1
        # All of them come at once: a GPU is waited for each time.
        return {**measured, **dict(zip(names, numbers.cpu().unbind(), strict=True))}

    def take(self) -> Gradients:
        """The mean over the batches since the last call; they are the caller's from now on."""
        gradients, count = self._sum, self.batches
        self._sum, self.batches = [], 0
        if count > 1:
            torch._foreach_div_(gradients, float(count))
        return gradients

    def pending(self) -> Gradients:
        """The sum over the batches since the last :meth:`take`, for a checkpoint; perhaps empty."""
        return self._sum

    def restore(self, pending: Gradients, batches: int) -> None:
        """Take over :meth:`pending`, and :attr:`batches`.

        Raises:
            CheckpointError: if they are not those of this model.
        """
        if [each.shape for each in pending] != [each.shape for each in self._parameters]:
            raise CheckpointError("The checkpoint's gradients do not fit the model.")
        self._sum, self.batches = [each.to(self.device) for each in pending], batches

    def _computed(self, batch: Batch) -> Computed:
        loss, measured = self.learner.compute_loss(batch)
        # A parameter that has no part in this loss has a gradient of zeros.
        gradients = list(torch.autograd.grad(loss, self._parameters, materialize_grads=True))
        names = tuple(name for name, tensor in measured.items() if tensor.ndim == 0)
        numbers = [measured[name].detach().to(loss.device) for name in names]
        rest = {name: tensor for name, tensor in measured.items() if tensor.ndim}
        stacked = torch.stack(numbers) if numbers else loss.detach().new_zeros(0)
        return Computed(gradients, names, stacked, rest)


def _moved(array: Any, device: torch.device) -> Tensor:
    tensor = torch.as_tensor(array)
    if device.type == "cuda":  # pinned memory is copied while the device computes
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
