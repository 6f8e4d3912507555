"""Drawing the next batches, and taking them to the device, while the learner is at one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from threading import Condition, Thread
from typing import Any

import torch
from torch import Tensor

from mario_agents.core.dataset import Dataset, NumpyBatch
from mario_agents.core.gradients import DeviceBatch
from mario_agents.core.types import Learner, Step


class PrefetchedBatch(DeviceBatch):
    """A batch on the device, and as it was drawn."""

    def __init__(self, learner: Learner, drawn: NumpyBatch, device: torch.device) -> None:
        super().__init__(learner, drawn, device)
        self.drawn = drawn


class PrefetchingDataset(Dataset):
    """A dataset whose batches a thread draws before they are asked for.

    They are drawn a little earlier than they would be otherwise: the priorities of the last
    ``depth`` batches are not in them, nor the newest steps. And which steps are in one depends on
    timing; so it is nothing for a run that is to be repeated. Drawing waits for whatever else is
    done with the dataset.

    Args:
        dataset: of which; all access goes through this object from now on.
        learner: prepares the batches.
        device: where they are wanted.
        depth: batches drawn ahead.
    """

    def __init__(
        self, dataset: Dataset, learner: Learner, device: torch.device, depth: int
    ) -> None:
        self._dataset, self._depth = dataset, depth
        self._learner, self._device = learner, device
        self._changed = Condition()
        self._ready = deque[PrefetchedBatch]()
        self._at = 0
        self._none_due = True  # nobody has asked yet
        self._closed = False
        self._error: BaseException | None = None
        self._thread = Thread(target=self._draw, daemon=True)
        self._thread.start()

    def batches(self, at: int) -> Iterator[NumpyBatch]:
        """Those that are due, of which the first few may have been drawn before ``at``."""
        while True:
            with self._changed:
                self._at, self._none_due = at, False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._ready or self._none_due or self._error)
                if self._error is not None:
                    raise self._error
                if not self._ready:
                    return
                batch = self._ready.popleft()
                self._changed.notify_all()
            yield batch

    def feedback(self, batch: NumpyBatch, measured: Mapping[str, Tensor]) -> None:
        """What was measured on a batch, for the dataset."""
        assert isinstance(batch, PrefetchedBatch)
        with self._changed:
            self._dataset.feedback(batch.drawn, measured)

    def close(self) -> None:
        """End the thread; harmless when repeated."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _draw(self) -> None:
        try:
            while not self._closed:
                self._draw_one()
        except BaseException as error:  # of interest to whoever asks for batches
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _draw_one(self) -> None:
        with self._changed:
            self._changed.wait_for(self._wanted)
            if self._closed:
                return
            drawn = next(iter(self._dataset.batches(self._at)), None)
            if drawn is None:
                self._none_due = True
                self._changed.notify_all()
                return
        batch = PrefetchedBatch(self._learner, drawn, self._device)
        with self._changed:
            self._ready.append(batch)
            self._changed.notify_all()

    def _wanted(self) -> bool:
        return self._closed or (len(self._ready) < self._depth and not self._none_due)

    # The rest is the dataset's, but not while a batch is being drawn.

    @property
    def full(self) -> bool:
        """Whether more steps should wait."""
        with self._changed:
            return self._dataset.full

    def add(self, step: Step, worker: int) -> None:
        """Append one step of all games of a worker."""
        with self._changed:
            self._dataset.add(step, worker)

    def cut(self, worker: int) -> None:
        """The next step of a worker does not follow its last one."""
        with self._changed:
            self._dataset.cut(worker)

    def gauges(self) -> dict[str, float]:
        """Metrics of the dataset."""
        with self._changed:
            return self._dataset.gauges()

    def write_chunk(
        self, write: Callable[[Mapping[str, Tensor]], str], *, saving: bool = False
    ) -> bool:
        """Let ``write`` keep a piece of the dataset."""
        with self._changed:
            return self._dataset.write_chunk(write, saving=saving)

    def chunks(self) -> tuple[str, ...]:
        """Names of the pieces that are still needed."""
        with self._changed:
            return self._dataset.chunks()

    def tensors(self) -> dict[str, Tensor]:
        """What is in no piece, for a checkpoint."""
        with self._changed:
            return self._dataset.tensors()

    def state(self) -> dict[str, Any]:
        """Counters and random states; of batches drawn ahead, as if they had been learned from."""
        with self._changed:
            return self._dataset.state()

    def read_chunk(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over a piece."""
        with self._changed:
            self._dataset.read_chunk(tensors)

    def restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Take over a checkpoint."""
        with self._changed:
            self._dataset.restore(tensors, state)
