"""Pieces of a large checkpoint, which are written once and never changed.

A piece is one file in the store's directory, ``chunk-000012.safetensors``, written under another
name, flushed to the disk and renamed. Nothing but the manifest of a checkpoint says that it is
needed, with its length and SHA-256; so a process that is killed at any moment leaves no checkpoint
that counts on a piece that is not whole, only pieces that nobody asks for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from mario_agents.run.weights import read_tensors, storable
from mario_envkit.errors import CheckpointError
from mario_envkit.files import replace_file, sha256_of

_NAME = re.compile(r"chunk-(\d{6,})")


class Chunk(NamedTuple):
    """What a manifest says about a piece: its name, and length in bytes and SHA-256 of its file."""

    name: str
    bytes: int
    sha256: str


class ChunkFiles:
    """The pieces in a directory.

    Args:
        directory: made when it is first needed.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._known: dict[str, Chunk] = {}

    def write(self, tensors: Mapping[str, torch.Tensor]) -> str:
        """Keep a piece, until a checkpoint is saved that does not need it; returns its name.

        Args:
            tensors: any device; may share memory.

        Raises:
            CheckpointError: if the disk refuses; nothing is left behind.
        """
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            name = f"chunk-{max(self._numbers(), default=0) + 1:06d}"
            path = self._path(name)
            replace_file(path, lambda temporary: save_file(storable(tensors), temporary))
            self._known[name] = Chunk(name, path.stat().st_size, sha256_of(path))
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                f"Cannot write a piece of a checkpoint to {self.directory} ({error}); earlier ones "
                "are intact: free some space."
            ) from error
        return name

    def claim(self, names: Iterable[str]) -> list[Chunk]:
        """What the manifest of a checkpoint that needs these pieces says about them.

        Raises:
            KeyError: if one was neither written nor read by this object.
        """
        return [self._known[name] for name in names]

    def verify(self, chunks: Iterable[Chunk]) -> None:
        """Compare pieces with what a manifest says about them.

        Raises:
            OSError, ValueError: if one is missing or damaged.
        """
        for chunk in chunks:
            path = self._path(chunk.name)
            if path.stat().st_size != chunk.bytes or sha256_of(path) != chunk.sha256:
                raise ValueError(f"{path.name} does not match its checksum")

    def read(self, chunk: Chunk) -> dict[str, torch.Tensor]:
        """The tensors of a piece, by name, on the CPU; checkpoints may claim it from now on.

        Raises:
            CheckpointError: if it cannot be read any more.
        """
        path = self._path(chunk.name)
        try:
            tensors, _ = read_tensors(path)
        except (OSError, SafetensorError, ValueError) as error:
            raise CheckpointError(
                f"{path} cannot be read any more ({error}); resume again, from the checkpoint "
                "before it."
            ) from error
        self._known[chunk.name] = chunk
        return tensors

    def prune(self, needed: Iterable[str], latest: Iterable[str]) -> None:
        """Remove all pieces but those that kept checkpoints need, of which the last one was just
        saved and needs ``latest``: what has been written and it does not need, none will."""
        latest = set(latest)
        self._known = {name: chunk for name, chunk in self._known.items() if name in latest}
        keep = {*needed, *latest}
        for number in self._numbers():
            name = f"chunk-{number:06d}"
            if name not in keep:
                self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self.directory / f"{name}.safetensors"

    def _numbers(self) -> list[int]:
        found = (_NAME.fullmatch(path.stem) for path in self.directory.glob("chunk-*.safetensors"))
        return [int(match[1]) for match in found if match]
