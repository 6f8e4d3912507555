"""From a dataset to gradients: in each worker, or in the one learner that workers feed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice

import torch

from mario_agents.core.dataset import Dataset
from mario_agents.core.gradients import GradientComputer, Gradients
from mario_agents.core.graphed import capture_for
from mario_agents.core.types import Learner
from mario_agents.runtime.transport import Board, BoardRow


class BatchLearning:
    """Computes the gradients of the batches that a dataset has due.

    Args:
        learner: has a loss for each batch.
        device: where its model is.
        dataset: offers the batches, and hears what was measured on them.
        board: says whether the run is stopping.
        row: of this process, where it beats and counts.
        trained: takes what the learner measured on a batch.
        accumulate: batches whose mean gradients belong together.
        cuda_graphs: whether computations are recorded, where that is possible.

    Attributes:
        dataset: the same.
        computer: has the gradients of batches that are not yet as many.
    """

    def __init__(
        self,
        learner: Learner,
        device: torch.device,
        dataset: Dataset,
        board: Board,
        row: BoardRow,
        trained: Callable[[Mapping[str, float]], object],
        *,
        accumulate: int,
        cuda_graphs: bool,
    ) -> None:
        self.dataset, self._board, self._row = dataset, board, row
        self._trained, self._accumulate = trained, accumulate
        capture = capture_for(learner, device, wanted=cuda_graphs)
        self.computer = GradientComputer(learner, device, capture)

    def gradients(self, at: int, *, most: int | None = None) -> Iterator[Gradients]:
        """The mean gradients of so many batches together, of all batches that are due.

        Each is computed when it is asked for, with the weights as they are then. Batches that are
        too few for a mean are completed by the next that are due, perhaps those of other rounds.

        Args:
            at: agent steps of the whole run so far.
            most: batches at most, for a learner that has other things to do in between.
        """
        for batch in islice(self.dataset.batches(at), most):
            measured = self.computer.add(batch)
            self.dataset.feedback(batch, measured)
            self._row.add("train_steps")
            self._trained({name: float(x) for name, x in measured.items() if x.ndim == 0})
            if self.computer.batches == self._accumulate:
                self._row.beat()
                yield self.computer.take()
            if self._board.stopping:
                return
