"""Batches that are drawn in a thread."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import torch

from mario_agents.core.dataset import Dataset, NumpyBatch
from mario_agents.core.types import Step
from mario_agents.runtime.prefetch import PrefetchingDataset
from mario_agents.testing.toy import ToyLearner, ToyModel

CPU = torch.device("cpu")
LEARNER = ToyLearner(ToyModel(2))


class Counting(Dataset):
    """A batch of its number for every two steps, and what became of them."""

    def __init__(self) -> None:
        self.added = self.drawn = 0
        self.heard: list[int] = []

    def add(self, step: Step, worker: int) -> None:
        self.added += 1

    def batches(self, at: int) -> Iterator[NumpyBatch]:
        while self.added >= 2:
            self.added -= 2
            self.drawn += 1
            yield {"number": np.array([self.drawn]), "index": np.array([10 * self.drawn])}

    def feedback(self, batch: NumpyBatch, measured: Mapping[str, Any]) -> None:
        assert isinstance(batch["index"], np.ndarray)  # as it was drawn
        self.heard += batch["index"].tolist()


@pytest.mark.parametrize("depth", [1, 3])
def test_all_batches_that_are_due_come_once_and_in_order(depth: int) -> None:
    counting = Counting()
    dataset = PrefetchingDataset(counting, LEARNER, CPU, depth)
    assert list(dataset.batches(0)) == []
    seen: list[int] = []
    for _ in range(20):
        for _ in range(5):
            dataset.add(None, 0)  # type: ignore[arg-type]
        for batch in dataset.batches(0):
            assert isinstance(batch["number"], torch.Tensor)
            seen.append(int(batch["number"]))
            dataset.feedback(batch, {})
            if len(seen) % 3 == 0:
                break  # the rest is for the next call
    seen += [int(batch["number"]) for batch in dataset.batches(0)]
    assert seen == list(range(1, 51))
    assert counting.heard == [10 * number for number in seen[: len(counting.heard)]]
    dataset.close()
    dataset.close()


def test_no_more_is_drawn_ahead_than_was_said() -> None:
    counting = Counting()
    dataset = PrefetchingDataset(counting, LEARNER, CPU, 2)
    counting.added = 100
    batches = dataset.batches(0)
    next(batches)
    dataset.close()
    assert counting.drawn <= 1 + 2


def test_an_error_while_drawing_is_the_askers() -> None:
    class Broken(Counting):
        def batches(self, at: int) -> Iterator[NumpyBatch]:
            raise KeyError("index")

    dataset = PrefetchingDataset(Broken(), LEARNER, CPU, 2)
    for _ in range(2):
        with pytest.raises(KeyError, match="index"):
            list(dataset.batches(0))
    dataset.close()
