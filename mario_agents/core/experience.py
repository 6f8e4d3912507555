"""Where a worker's batches come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from torch import Tensor

from mario_agents.core.dataset import NumpyBatch
from mario_agents.telemetry.episodes import CollectResult


class Experience(Protocol):
    """A worker's experience: it plays, and offers the batches that are due.

    :class:`ReplayExperience` is that of an off-policy algorithm; an on-policy one plays a rollout
    in :meth:`collect` and offers its minibatches. Whoever derives from this class need only write
    these two: by default nothing is learned from :meth:`feedback`, and nothing saved.
    """

    def collect(self, step: int) -> CollectResult:
        """Play for a while with the present weights.

        Args:
            step: agent steps of the whole run so far, which schedules depend on.

        Returns:
            What happened; its ``gauges`` are metrics of the experience (``epsilon``...).
        """

    def batches(self) -> Iterator[NumpyBatch]:
        """The batches that are due now, one after the other.

        Each is drawn when it is asked for: the weights may have changed since the one before, and
        :meth:`feedback` has been called for it.
        """

    def feedback(self, batch: NumpyBatch, measured: Mapping[str, Tensor]) -> None:
        """Take in what the learner measured on a batch (priorities, divergences)."""

    def tensors(self) -> dict[str, Tensor]:
        """Arrays and random states for a checkpoint, by name."""
        return {}

    def state(self) -> dict[str, Any]:
        """Counters and the like for a checkpoint, JSON-able."""
        return {}

    def restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Take over :meth:`tensors` and :meth:`state`.

        Raises:
            KeyError: if something is missing.
            CheckpointError: if something does not fit.
        """
