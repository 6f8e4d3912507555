"""Checkpoints that survive whatever happens while they are written.

A checkpoint is two files in the store's directory::

    000007-step12000.safetensors   tensors
    000007-step12000.json          manifest: step, state, SHA-256 of the tensors and of itself

Both are written under another name, flushed to the disk and renamed, the manifest last: a manifest
under its own name vouches for the pair. The leading number counts saves, so that the order does
not depend on the step (a run that falls back to an older checkpoint goes back in steps).

What is too large to be written anew each time is in pieces beside them, which several checkpoints
share (:mod:`mario_agents.run.chunks`); the manifest vouches for them too.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from mario_agents.run.chunks import Chunk, ChunkFiles
from mario_agents.run.weights import read_tensors, storable
from mario_envkit.errors import CheckpointError
from mario_envkit.files import parse_json, replace_file, replace_text, sha256_of

FORMAT = 2
_NAME = re.compile(r"(\d{6,})-step\d+\.(json|safetensors)")

_DAMAGE = (OSError, ValueError, KeyError, TypeError, SafetensorError)
"""What reading a damaged checkpoint raises."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a store gives back.

    Attributes:
        name: of the pair of files, for :meth:`CheckpointStore.load`.
        step: agent steps at the time of saving.
        tensors: by name, on the CPU.
        state: everything else, as JSON gives it back (tuples are lists, keys are strings).
        chunks: the pieces it needs, in the order that they were saved in;
            :meth:`CheckpointStore.read_chunks` reads them.
    """

    name: str
    step: int
    tensors: dict[str, torch.Tensor]
    state: dict[str, Any]
    chunks: tuple[Chunk, ...] = ()


class CheckpointStore:
    """The last ``keep`` checkpoints in a directory, which is made when it is first needed."""

    def __init__(self, directory: Path, keep: int = 3) -> None:
        if keep < 1:
            raise ValueError(f"keep must be at least 1, got {keep}")
        self.directory = directory
        self.keep = keep
        self._chunks = ChunkFiles(directory)

    def write_chunk(self, tensors: Mapping[str, torch.Tensor]) -> str:
        """Write a piece for checkpoints to come, and return its name.

        The next checkpoint that is saved without it ends its life.

        Raises:
            CheckpointError: if the disk refuses; nothing is left behind.
        """
        return self._chunks.write(tensors)

    def read_chunks(self, checkpoint: Checkpoint) -> Iterator[dict[str, torch.Tensor]]:
        """The pieces that a checkpoint of this store needs, one after the other.

        Raises:
            CheckpointError: if one cannot be read any more.
        """
        return map(self._chunks.read, checkpoint.chunks)

    def save(
        self,
        step: int,
        tensors: Mapping[str, torch.Tensor],
        state: Mapping[str, Any],
        chunks: Iterable[str] = (),
    ) -> Path:
        """Write a checkpoint, then remove those beyond the last ``keep``.

        Args:
            step: agent steps so far.
            tensors: any device; may share memory.
            state: JSON-able values; numbers of any size, NaN and infinities allowed.
            chunks: names of the pieces that the checkpoint needs, from :meth:`write_chunk` or of
                those that :meth:`read_chunks` read.

        Returns:
            Path of the manifest.

        Raises:
            CheckpointError: if the disk refuses (full, read-only); earlier checkpoints are intact.
            TypeError: if ``state`` cannot be expressed in JSON.
            KeyError: if a piece was neither written nor read by this object.
        """
        # Encoded before anything is written: a mistake of the caller leaves no file behind.
        plain_state = json.loads(json.dumps(dict(state)))
        claimed = self._chunks.claim(chunks)
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            number = max((number for number, _ in self._files("*")), default=0) + 1
            path = self.directory / f"{number:06d}-step{step}.json"
            self._write(path, step, storable(tensors), plain_state, claimed)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                f"Cannot write a checkpoint to {self.directory} ({error}); earlier ones are "
                "intact: free some space."
            ) from error
        self._prune(claimed)
        return path

    def load_latest(self) -> Checkpoint:
        """The newest checkpoint that is whole; damaged newer ones are reported as warnings.

        Raises:
            CheckpointError: if there is none.
        """
        manifests = self._manifests()
        if not manifests:
            raise CheckpointError(f"There is no checkpoint in {self.directory}.")
        reasons = []
        for path in reversed(manifests):
            try:
                checkpoint = self._read(path)
            except _DAMAGE as error:
                reasons.append(f"{path.name}: {error}")
                continue
            for reason in reasons:
                log.warning("Skipped a damaged checkpoint (%s); using %s.", reason, path.name)
            return checkpoint
        raise CheckpointError(
            f"No checkpoint in {self.directory} can be read ({'; '.join(reasons)})."
        )

    def load(self, name: str) -> Checkpoint:
        """The checkpoint of this name, which :meth:`load_latest` gave before.

        Raises:
            CheckpointError: if it cannot be read any more.
        """
        try:
            return self._read(self.directory / f"{name}.json")
        except _DAMAGE as error:
            raise CheckpointError(
                f"The checkpoint {name} in {self.directory} cannot be read ({error})."
            ) from error

    def __len__(self) -> int:
        """Number of checkpoints, whole or not."""
        return len(self._manifests())

    @staticmethod
    def _write(
        path: Path,
        step: int,
        tensors: dict[str, torch.Tensor],
        state: dict[str, Any],
        chunks: list[Chunk],
    ) -> None:
        data = path.with_suffix(".safetensors")
        replace_file(data, lambda temporary: save_file(tensors, temporary))
        try:
            manifest = {
                "format": FORMAT,
                "step": step,
                "tensors": {"bytes": data.stat().st_size, "sha256": sha256_of(data)},
                "chunks": chunks,
                "state": state,
            }
            manifest["sha256"] = _digest(manifest)
            replace_text(path, json.dumps(manifest) + "\n")
        except OSError:
            data.unlink(missing_ok=True)  # worth nothing, and the next one needs the space
            raise

    def _files(self, suffix: str) -> list[tuple[int, Path]]:
        """(number, path) of our files by number; temporary and foreign ones are not ours."""
        found = []
        for path in self.directory.glob(f"*.{suffix}"):
            match = _NAME.fullmatch(path.name)
            if match:
                found.append((int(match[1]), path))
        return sorted(found)

    def _manifests(self) -> list[Path]:
        return [path for _, path in self._files("json")]

    def _read(self, path: Path) -> Checkpoint:
        """Read and verify one checkpoint; raises one of several exceptions if it is not whole."""
        checkpoint = _read(path)
        self._chunks.verify(checkpoint.chunks)
        return checkpoint

    def _prune(self, latest: list[Chunk]) -> None:
        """Remove old checkpoints and what interrupted saves left; manifests go first."""
        manifests = self._manifests()[-self.keep :]
        kept = {path.stem for path in manifests}
        for suffix in ("json", "safetensors"):
            for _, path in self._files(suffix):
                if path.stem not in kept:
                    path.unlink(missing_ok=True)
        for path in self.directory.glob(".*.tmp"):
            path.unlink(missing_ok=True)
        needed = (chunk.name for path in manifests for chunk in _chunks_of(path))
        self._chunks.prune(needed, (chunk.name for chunk in latest))


def _digest(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of everything in a manifest but the digest itself."""
    content = {key: value for key, value in manifest.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _read(path: Path) -> Checkpoint:
    """Read and verify one checkpoint; raises one of several exceptions if it is not whole."""
    manifest = parse_json(path.read_text(encoding="utf-8"))
    if manifest["format"] != FORMAT:
        raise ValueError(f"format {manifest['format']}, expected {FORMAT}")
    if manifest["sha256"] != _digest(manifest):
        raise ValueError("the manifest does not match its checksum")
    data = path.with_suffix(".safetensors")
    if sha256_of(data) != manifest["tensors"]["sha256"]:
        raise ValueError("the tensors do not match their checksum")
    chunks = tuple(Chunk(*chunk) for chunk in manifest["chunks"])
    return Checkpoint(path.stem, manifest["step"], read_tensors(data)[0], manifest["state"], chunks)


def _chunks_of(path: Path) -> list[Chunk]:
    """The pieces that a manifest claims; none if it is damaged, as it needs none then."""
    try:
        return [Chunk(*chunk) for chunk in parse_json(path.read_bytes())["chunks"]]
    except _DAMAGE:
        return []
