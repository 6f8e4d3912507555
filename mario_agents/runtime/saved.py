"""What the parts of a run have in its checkpoints, and how they take it over again."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from mario_agents.core.dataset import Dataset
from mario_agents.run import Checkpoint, CheckpointStore, RunDir
from mario_agents.runtime.shm.heartbeat import COUNTERS
from mario_agents.runtime.transport import Board
from mario_envkit.errors import CheckpointError

log = logging.getLogger(__name__)


class SavedDataset:
    """A dataset in this process, which is saved with the weights.

    A dataset has a shard for each worker, of a size that depends on their number. So with other
    workers than those it was saved with it begins empty.

    Args:
        dataset: what is saved.
        shards: numbers of the workers whose steps it is given.
    """

    def __init__(self, dataset: Dataset, shards: Sequence[int]) -> None:
        self._dataset, self._shards = dataset, list(shards)

    def write_chunk(self, store: CheckpointStore, *, saving: bool) -> bool:
        """Write a piece of it, if there is enough for one; returns whether there was.

        Args:
            store: keeps it.
            saving: whether a checkpoint comes next.

        Raises:
            CheckpointError: if the disk refuses.
        """
        return self._dataset.write_chunk(store.write_chunk, saving=saving)

    def chunks(self) -> tuple[str, ...]:
        """Names of the pieces that a checkpoint needs."""
        return self._dataset.chunks()

    def tensors(self) -> dict[str, Tensor]:
        """What is in no piece, by name."""
        return {f"dataset.{name}": each for name, each in self._dataset.tensors().items()}

    def state(self) -> dict[str, Any]:
        """Counters and random states, JSON-able."""
        return {"dataset": {"shards": self._shards, "state": self._dataset.state()}}

    def restore(self, store: CheckpointStore, checkpoint: Checkpoint) -> None:
        """Take over what ``checkpoint`` has of it; nothing if it was not in that process.

        Raises:
            KeyError: if something is missing.
            CheckpointError: if something does not fit.
        """
        saved = checkpoint.state.get("dataset")
        if saved is None:
            return
        tensors = select(checkpoint.tensors, "dataset.")
        if saved["shards"] != self._shards:
            if tensors:
                log.warning(
                    "The saved dataset has the steps of %d workers, and there are %d now: it "
                    "begins empty.",
                    len(saved["shards"]),
                    len(self._shards),
                )
            return
        for chunk in store.read_chunks(checkpoint):
            self._dataset.read_chunk(chunk)
        self._dataset.restore(tensors, saved["state"])


def select(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Those tensors whose names begin with ``prefix``, named without it."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def counters_of(board: Board) -> list[dict[str, int]]:
    """The counters of all workers, for a checkpoint."""
    rows = [board.row(worker) for worker in range(board.workers)]
    return [{name: row.count(name) for name in COUNTERS} for row in rows]


def restore_counters(board: Board, run: RunDir, checkpoint: Checkpoint) -> None:
    """Go on from :func:`counters_of`, in a heartbeat for :func:`workers_ever`.

    Raises:
        CheckpointError: if the checkpoint lacks them.
    """
    try:
        saved: list[Mapping[str, int]] = checkpoint.state["counters"]
    except KeyError as error:
        raise incomplete(run, error) from error
    for number, counters in enumerate(saved):
        row = board.row(number)
        for name in COUNTERS:
            row.add(name, int(counters.get(name, 0)))


def incomplete(run: RunDir, error: KeyError) -> CheckpointError:
    """What to raise if a checkpoint lacks something."""
    return CheckpointError(
        f"The checkpoint of {run.path} lacks {error}; it was written by another version of "
        "mario-envkit: resume with that one, or start a new run."
    )
