"""How a worker and the coordinator reach one another."""

from __future__ import annotations

from typing import Protocol

from mario_agents.parallel.coordinator import TrainingCoordinator
from mario_agents.parallel.gradients import Gradients


class GradientExchange(Protocol):
    """A worker's way to whoever owns the weights."""

    def submit(self, gradients: Gradients) -> bool:
        """Hand over gradients of the weights that the last :meth:`sync` brought.

        They belong to the exchange from now on. Returns False if the run is stopping and they were
        not taken.
        """

    def sync(self) -> None:
        """Bring the model to the newest weights."""


class LocalExchange:
    """Worker and coordinator are in one process and share a model."""

    def __init__(self, coordinator: TrainingCoordinator) -> None:
        self._coordinator = coordinator

    def submit(self, gradients: Gradients) -> bool:
        """See :class:`GradientExchange`; the update is made at once."""
        self._coordinator.apply(gradients)
        return True

    def sync(self) -> None:
        """Nothing to do."""
