"""The weights that play may be an average of those that training has passed through."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mario_agents.ops.averages import polyak_update
from mario_envkit.errors import CheckpointError


class WeightAverage:
    """An exponential average of a module's weights over updates.

    Polyak and Juditsky, "Acceleration of stochastic approximation by averaging" (1992), with a
    memory: an update counts ``decay ** n`` as much as the one that comes ``n`` updates later. At
    first it is a shorter one, so that what it began with is soon forgotten.

    Args:
        module: whose weights and buffers are followed; those that are no floats are copied.
        decay: the share of the average that an update keeps, below 1.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._module, self._decay = module, decay
        self._average = {k: v.detach().clone() for k, v in module.state_dict().items()}

    @torch.no_grad()
    def update(self, updates: int) -> None:
        """Take in the module's weights as they are after so many updates, the last one included."""
        now = self._module.state_dict()
        floats = [name for name, tensor in now.items() if tensor.is_floating_point()]
        share = 1.0 - min(self._decay, updates / (updates + 9.0))
        polyak_update(
            [self._average[name] for name in floats], [now[name] for name in floats], share
        )
        for name in now.keys() - set(floats):
            self._average[name].copy_(now[name])

    def weights(self) -> dict[str, Tensor]:
        """The average, by the names of the module's weights; it moves with the next update."""
        return self._average

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Take over :meth:`weights`.

        Raises:
            CheckpointError: if they are of another module.
        """
        if weights.keys() != self._average.keys():
            raise CheckpointError(
                "The checkpoint's averaged weights do not fit the model; resume with the version "
                "of mario-envkit that wrote it."
            )
        for name, tensor in weights.items():
            self._average[name].copy_(tensor)
