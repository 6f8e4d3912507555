"""From a batch to gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mario_agents.core.types import Learner
from mario_envkit.errors import CheckpointError

Gradients = list[Tensor]
"""One tensor for each trainable parameter, in the order of :func:`trainable`."""


def trainable(module: torch.nn.Module) -> list[torch.nn.Parameter]:
    """The parameters that gradients are computed for, in a fixed order."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


class GradientComputer:
    """Computes the mean gradients of a few batches; reads the model, and never changes it.

    Applying gradients is the business of :class:`~mario_agents.core.updater.Updater`, in this
    process or another one.
    """

    def __init__(self, learner: Learner, device: torch.device) -> None:
        self.learner, self.device = learner, device
        self.batches = 0
        """Batches since the last :meth:`take`."""
        self._parameters = trainable(learner.model)
        self._sum: Gradients = []

    def add(self, batch: Mapping[str, Any]) -> Mapping[str, Tensor]:
        """Take in the gradients of a batch of arrays; returns what the learner measured on it."""
        tensors = {name: torch.as_tensor(array).to(self.device) for name, array in batch.items()}
        loss, measured = self.learner.compute_loss(tensors)
        # A parameter that has no part in this loss has a gradient of zeros.
        gradients = list(torch.autograd.grad(loss, self._parameters, materialize_grads=True))
        if self.batches:
            torch._foreach_add_(self._sum, gradients)
        else:
            self._sum = gradients
        self.batches += 1
        return measured

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
