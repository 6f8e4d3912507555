"""What the parts of a run have in its checkpoints, and how they take it over again."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from mario_agents.run import Checkpoint, CheckpointStore, RunDir
from mario_agents.runtime.learning import BatchLearning
from mario_agents.runtime.transport import COUNTERS, Board, BoardRow
from mario_envkit.errors import CheckpointError

log = logging.getLogger(__name__)


class SavedLearning:
    """What learns in this process, and is saved with the weights: a dataset, and gradients that are
    not enough for an update yet.

    A dataset has a shard for each worker, of a size that depends on their number. So with other
    workers than those it was saved with it begins empty.

    Args:
        learning: what is saved.
        shards: numbers of the workers whose steps its dataset is given.
    """

    def __init__(self, learning: BatchLearning, shards: Sequence[int]) -> None:
        self._dataset, self._computer = learning.dataset, learning.computer
        self._shards = list(shards)

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
        pending = enumerate(self._computer.pending())
        return {
            **{f"dataset.{name}": each for name, each in self._dataset.tensors().items()},
            **{f"gradients.{number}": each for number, each in pending},
        }

    def state(self) -> dict[str, Any]:
        """Counters and random states, JSON-able."""
        return {
            "dataset": {"shards": self._shards, "state": self._dataset.state()},
            "accumulated": self._computer.batches,
        }

    def restore(self, store: CheckpointStore, checkpoint: Checkpoint) -> None:
        """Take over what ``checkpoint`` has of them; nothing if they were in other processes.

        Raises:
            KeyError: if something is missing.
            CheckpointError: if something does not fit.
        """
        if accumulated := checkpoint.state.get("accumulated"):
            pending = select(checkpoint.tensors, "gradients.")
            in_order = [pending[str(number)] for number in range(len(pending))]
            self._computer.restore(in_order, accumulated)
        saved = checkpoint.state.get("dataset")
        if saved is None:
            return
        tensors = select(checkpoint.tensors, "dataset.")
        if saved["shards"] != self._shards:
            then, now = len(saved["shards"]), len(self._shards)
            reason = f"it has the steps of {then} workers, and there are {now} now"
            tell_left(store, checkpoint, reason)
            return
        for chunk in store.read_chunks(checkpoint):
            self._dataset.read_chunk(chunk)
        self._dataset.restore(tensors, saved["state"])


def tell_left(store: CheckpointStore, checkpoint: Checkpoint, reason: str) -> None:
    """Say that a dataset was saved, and is not taken over: a log line with ``reason``."""
    if not (checkpoint.chunks or select(checkpoint.tensors, "dataset.")):
        return
    shards = checkpoint.state["dataset"]["shards"]
    how = f"--share experience --workers {len(shards)}" if len(shards) > 1 else "--workers 0"
    log.warning(
        "The saved replay is not taken over (%s): it begins empty. The checkpoint %s has it until "
        "there are %d newer ones; to go on with it, stop this run, remove them, and resume with "
        "%s.",
        reason,
        checkpoint.name,
        store.keep,
        how,
    )


def select(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Those tensors whose names begin with ``prefix``, named without it."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def counters_of(board: Board) -> list[dict[str, int]]:
    """The counters of all workers, for a checkpoint."""
    return [counters_of_row(board.row(worker)) for worker in range(board.workers)]


def counters_of_row(row: BoardRow) -> dict[str, int]:
    """The counters of one process."""
    return {name: row.count(name) for name in COUNTERS}


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
