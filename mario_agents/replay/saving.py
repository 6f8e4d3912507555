"""Saving a storage: what is full in chunks that are written once, the rest with a checkpoint."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mario_agents.replay.frames import StackRef
from mario_agents.replay.revisions import Revisions
from mario_agents.replay.storage import Storage, ranges
from mario_envkit.errors import CheckpointError

CHUNK_BYTES = 16 << 20
"""A chunk is written in well under a second on any disk, and a million pictures are 450 of them."""

_COUNTERS = ("steps", "first", "written", "segment")


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A piece that has been written: ``name``, and by game the steps and frames before it ends."""

    name: str
    steps: NDArray[np.int64]
    frames: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Revision:
    """A piece with newer values of steps in the pieces before it, of this ``number``."""

    name: str
    number: int


class StorageSaver:
    """Splits what a storage holds into chunks and a tail.

    A chunk has the steps of all games, and the frames that came with them, since the chunk before;
    it is never changed. A checkpoint has what no chunk has yet (less than :data:`CHUNK_BYTES`), and
    what changes: counters, and ``truncated``, which a later cut may set. Values that were replaced
    after their chunk was written, of which :meth:`changed` was told, are in chunks of their own
    (:mod:`mario_agents.replay.revisions`), which are written before a checkpoint.

    Args:
        storage: what is saved.
        chunk_bytes: size of a chunk; None is :data:`CHUNK_BYTES`.
    """

    def __init__(self, storage: Storage, chunk_bytes: int | None = None) -> None:
        self.storage, self._chunk_bytes = storage, chunk_bytes or CHUNK_BYTES
        self._chunks: list[_Chunk | _Revision] = []
        """In the order in which they are to be read: a later one has what is newer."""
        self._revisions = Revisions(storage)
        self._steps = np.zeros(storage.games, dtype=np.int64)
        """By game, the first step that no chunk has."""
        self._frames = np.zeros(storage.games, dtype=np.int64)
        """By game, the first frame that no chunk has."""
        frame = storage.frames.frames[0, 0].nbytes
        row = sum(column[0, 0].nbytes for column in storage.columns.values())
        self._sizes = row, frame

    def chunks(self) -> tuple[str, ...]:
        """Names of the chunks that the storage consists of, oldest first."""
        return tuple(chunk.name for chunk in self._needed())

    def changed(self, index: NDArray[np.int64]) -> None:
        """Values of these steps were replaced; those that have left, and -1, are passed over."""
        self._revisions.changed(index)

    def write_chunk(
        self, write: Callable[[Mapping[str, Tensor]], str], *, saving: bool = False
    ) -> bool:
        """Let ``write`` keep the next chunk, if there is enough for one; says whether it did.

        ``write`` returns the name of what it kept; if it raises, the chunk is still to be written.

        Args:
            saving: whether a checkpoint comes next: only then are values written that have been
                replaced, because they may be replaced again before the next one.
        """
        return self._write_steps(write) or (saving and self._write_revision(write))

    def _write_steps(self, write: Callable[[Mapping[str, Tensor]], str]) -> bool:
        begin, frames_begin = self._begin()
        storage = self.storage
        row, frame = self._sizes
        pending = (storage.ends() - begin).sum() * row
        pending += (storage.frames.written - frames_begin).sum() * frame
        if pending < self._chunk_bytes:
            return False
        # After a pause there may be more than one chunk: take a share of each game.
        share = self._chunk_bytes / pending
        end = begin + np.ceil((storage.ends() - begin) * share).astype(np.int64)
        game = np.arange(storage.games)
        last = storage.columns["next_newest"][game, (end - 1) % storage.rows] + 1
        frames_end = np.where(end > begin, last, frames_begin)
        name = write(self._piece(begin, end, frames_begin, frames_end))
        self._steps, self._frames = end, frames_end
        self._chunks.append(_Chunk(name, end, frames_end))
        self._revisions.saved(begin, end)
        return True

    def _write_revision(self, write: Callable[[Mapping[str, Tensor]], str]) -> bool:
        revisions = self._revisions
        revisions.limit(self._steps)
        most = -(-self._chunk_bytes // revisions.row_bytes)
        index = revisions.pending(self._steps)[:most]
        if len(index) < most:
            return False
        name = write(revisions.values(index))
        self._chunks.append(_Revision(name, revisions.add(index)))
        return True

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint holds beside the chunks, by name."""
        storage = self.storage
        begin, frames_begin = self._begin()
        tail = self._piece(begin, storage.ends(), frames_begin, storage.frames.written)
        found = {f"tail.{name}": tensor for name, tensor in tail.items()}
        found["truncated"] = torch.from_numpy(storage.columns["truncated"])
        found |= {name: torch.from_numpy(array) for name, array in self._counters().items()}
        revised = self._revisions.values(self._revisions.pending(self._steps))
        found |= {f"pending.{name}": tensor for name, tensor in revised.items()}
        chunks = [chunk for chunk in self._needed() if isinstance(chunk, _Chunk)]
        for name in ("steps", "frames"):
            ends = [getattr(chunk, name) for chunk in chunks]
            array = np.array(ends, dtype=np.int64).reshape(-1, storage.games)
            found[f"chunks.{name}"] = torch.from_numpy(array)
        return found

    def state(self) -> dict[str, Any]:
        """JSON-able: what :meth:`restore` compares, and the chunks' names."""
        revisions = [chunk.name for chunk in self._needed() if isinstance(chunk, _Revision)]
        return {"shape": self._shape(), "chunks": list(self.chunks()), "revisions": revisions}

    def read_chunk(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over a chunk, before :meth:`restore`, in the order of :meth:`chunks`.

        Raises:
            CheckpointError: if it is of a storage of another shape.
        """
        storage = self.storage
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        try:
            if "revised" in tensors:
                self._revisions.add(self._revisions.take_over(tensors))
                return
            self._revisions.saved(arrays["begin"], arrays["end"])
            game, step = ranges(arrays["begin"], arrays["end"])
            for name, column in storage.columns.items():
                column[game, step % storage.rows] = arrays[f"columns.{name}"]
            game, frame = ranges(arrays["frames_begin"], arrays["frames_end"])
            storage.frames.frames[game, frame % storage.frames.capacity] = arrays["frames"]
        except (KeyError, ValueError, IndexError) as error:
            raise CheckpointError(
                f"A saved piece of the replay buffer does not fit this one ({error}); resume with "
                "the same buffer_size, num_envs and screen size."
            ) from error

    def restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Take over :meth:`tensors` and :meth:`state`, after all chunks.

        Raises:
            KeyError: if something is missing.
            CheckpointError: if they are of a storage of another shape; nothing is changed then.
        """
        own = self._shape()
        if state["shape"] != own:
            different = [name for name in own if state["shape"].get(name) != own[name]]
            raise CheckpointError(
                f"The saved replay buffer does not fit this one, which has another "
                f"{' and '.join(different) or 'content'}; resume with the same buffer_size, "
                "num_envs and screen size."
            )
        tail, pending = (
            {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
            for prefix in ("tail.", "pending.")
        )
        self.read_chunk(tail)
        if pending:  # checkpoints of older versions do not have it
            self._revisions.restore_pending(pending)
        self.storage.columns["truncated"][:] = tensors["truncated"].numpy()
        for name, array in self._counters().items():
            array[:] = tensors[name].numpy()
        steps, frames = (tensors[f"chunks.{name}"].numpy().copy() for name in ("steps", "frames"))
        ends, numbers = zip(steps, frames, strict=True), itertools.count(1)
        revisions = set(state.get("revisions", ()))
        self._chunks = [
            _Revision(name, next(numbers)) if name in revisions else _Chunk(name, *next(ends))
            for name in state["chunks"]
        ]
        if len(steps):
            self._steps, self._frames = steps[-1], frames[-1]
        for shard in self.storage.shards.values():
            shard.resume()

    def _counters(self) -> dict[str, NDArray[np.int64]]:
        storage = self.storage
        arrays = (storage.steps, storage.first, storage.frames.written, storage.frames.segment)
        return dict(zip(_COUNTERS, arrays, strict=True))

    def _shape(self) -> dict[str, Any]:
        storage = self.storage
        columns = {name: [*column.shape[2:]] for name, column in storage.columns.items()}
        return {
            "environments": storage.games,
            "buffer_size": storage.rows * storage.games,
            "observation": [*storage.frames.obs_shape],
            "columns": columns,
        }

    def _needed(self) -> list[_Chunk | _Revision]:
        """The chunks that have something of a complete step; forgets the others."""
        frames, revisions = self._needed_frames(), self._revisions.needed(self._steps)
        self._chunks = [
            chunk
            for chunk in self._chunks
            if (
                chunk.number in revisions
                if isinstance(chunk, _Revision)
                else (chunk.steps > self.storage.first).any() or (chunk.frames > frames).any()
            )
        ]
        return self._chunks

    def _needed_frames(self) -> NDArray[np.int64]:
        """By game, the oldest frame that a complete step is made of."""
        storage = self.storage
        place = np.arange(storage.games), storage.first % storage.rows
        columns = storage.columns
        ref = StackRef(columns["obs_newest"][place], columns["obs_oldest"][place])
        return storage.frames.first_needed(ref)

    def _begin(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """By game, the first step and frame that is still to be saved."""
        begin = np.maximum(self._steps, self.storage.first)
        return begin, np.maximum(self._frames, self._needed_frames())

    def _piece(
        self,
        begin: NDArray[np.int64],
        end: NDArray[np.int64],
        frames_begin: NDArray[np.int64],
        frames_end: NDArray[np.int64],
    ) -> dict[str, Tensor]:
        """Copies of the steps and frames of each game in these ranges."""
        storage = self.storage
        game, step = ranges(begin, end)
        found = {
            f"columns.{name}": column[game, step % storage.rows]
            for name, column in storage.columns.items()
        }
        game, frame = ranges(frames_begin, frames_end)
        found["frames"] = storage.frames.frames[game, frame % storage.frames.capacity]
        found |= {"begin": begin, "end": end}
        found |= {"frames_begin": frames_begin, "frames_end": frames_end.copy()}
        return {name: torch.from_numpy(array) for name, array in found.items()}
