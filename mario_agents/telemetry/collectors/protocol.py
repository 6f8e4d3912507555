"""The interface of collectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from mario_agents.telemetry.episodes import CollectResult, Episode


class MetricCollector(Protocol):
    """Takes note of what a worker does.

    The calls are batched: a vector environment makes many steps at once and a worker many in a row,
    so :meth:`on_step` comes once per round and never per environment.
    """

    def on_step(self, info: CollectResult) -> None:
        """A round of steps was made."""

    def on_episode_end(self, info: Episode) -> None:
        """An episode has ended; after :meth:`on_step` of its round."""

    def on_train_step(self, metrics: Mapping[str, float]) -> None:
        """Gradients of a batch were computed, and this is what the learner measured."""

    def flush(self) -> None:
        """Values are about to be read: bring them up to date, hand on what was held back."""
