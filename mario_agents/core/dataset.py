"""From the steps of games to batches to learn from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from numpy.typing import NDArray
from torch import Tensor

from mario_agents.core.types import Step

NumpyBatch = Mapping[str, NDArray[Any]]
"""A :data:`mario_agents.core.types.Batch` before it goes to the device."""


class Dataset(Protocol):
    """What was experienced, and which of it is due to be learned from.

    Steps of one worker follow one another in time; those of different workers have nothing to do
    with one another, so that each worker has a shard of its own. A dataset is in the process of the
    learner: a worker's own, or one that is fed by all workers. Whoever derives from this class need
    only write :meth:`add` and :meth:`batches`.
    """

    def add(self, step: Step, worker: int) -> None:
        """Append one step of all games of a worker. Arrays that are kept must be copied."""

    def cut(self, worker: int) -> None:
        """The next step of a worker does not follow its last one: it was replaced or resumed.

        What its games would have led to is unknown; nothing may be summed across the gap. By
        default nothing: right for whoever keeps no steps between two calls of :meth:`batches`.
        """
        return

    @property
    def full(self) -> bool:
        """Whether more steps should wait until batches have been drawn; by default never.

        Asked by a learner that many workers feed, which could fall behind them.
        """
        return False

    def batches(self, at: int) -> Iterator[NumpyBatch]:
        """The batches that are due now, one after the other.

        Each is drawn when it is asked for: the weights may have changed since the one before, and
        :meth:`feedback` has been called for it. A run that stops leaves the rest; a learner that
        many workers feed leaves it after each batch, and asks again when it has taken in steps.

        Args:
            at: agent steps of the whole run so far, which schedules depend on.
        """

    def feedback(self, batch: NumpyBatch, measured: Mapping[str, Tensor]) -> None:
        """Take in what the learner measured on a batch (priorities, divergences)."""
        return

    def gauges(self) -> dict[str, float]:
        """Metrics of the dataset (``buffer_size``...) as it is now."""
        return {}

    def write_chunk(
        self, write: Callable[[Mapping[str, Tensor]], str], *, saving: bool = False
    ) -> bool:
        """Let ``write`` keep a piece of what is too large for every checkpoint; called again and
        again while training goes on, and before a checkpoint until there is none. By default none.

        Args:
            write: keeps the tensors for good, and returns the name that they have from then on.
            saving: whether a checkpoint comes next: what changes often is best written then.

        Returns:
            Whether there was enough for a piece, so that ``write`` was called.
        """
        return False

    def chunks(self) -> tuple[str, ...]:
        """Names of the pieces that are still needed, oldest first."""
        return ()

    def tensors(self) -> dict[str, Tensor]:
        """Arrays for a checkpoint, by name: all that is in none of :meth:`chunks`."""
        return {}

    def state(self) -> dict[str, Any]:
        """Counters and random states for a checkpoint, JSON-able."""
        return {}

    def read_chunk(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over a piece, before :meth:`restore`, in the order of :meth:`chunks`.

        Raises:
            CheckpointError: if it does not fit.
        """
        return

    def restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Take over :meth:`tensors` and :meth:`state`; every worker is :meth:`cut`.

        Raises:
            KeyError: if something is missing.
            CheckpointError: if something does not fit.
        """
        return
