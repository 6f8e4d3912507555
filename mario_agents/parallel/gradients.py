"""The worker's half of an update: from experience to gradients."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mario_agents.api import Learner, Metrics, ReplayBuffer

Gradients = list[Tensor]
"""One tensor for each trainable parameter, in the order of :func:`trainable`."""


def trainable(module: torch.nn.Module) -> list[torch.nn.Parameter]:
    """The parameters that gradients are computed for, in a fixed order."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


class GradientComputer:
    """Samples a batch, computes the loss and its gradients, and feeds priorities back.

    The model is only read; applying gradients is the business of
    :class:`~mario_agents.parallel.updater.Updater`, in this process or another one.
    """

    def __init__(
        self, learner: Learner, replay: ReplayBuffer, *, batch_size: int, device: torch.device
    ) -> None:
        self.learner, self.replay = learner, replay
        self.batch_size, self.device = batch_size, device
        self._parameters = trainable(learner.model)

    def compute(self) -> tuple[Gradients, Metrics]:
        """Gradients of the loss on a fresh batch, and what the learner wants plotted."""
        sampled = self.replay.sample(self.batch_size)
        batch = {name: torch.from_numpy(array).to(self.device) for name, array in sampled.items()}
        loss, measured = self.learner.compute_loss(batch)
        gradients = torch.autograd.grad(loss, self._parameters)
        metrics = {name: float(value) for name, value in measured.items() if value.ndim == 0}
        if "priority" in measured:
            priority = measured["priority"].cpu().numpy().astype(np.float32)
            self.replay.update_priorities(sampled["index"], priority)
        return list(gradients), metrics
