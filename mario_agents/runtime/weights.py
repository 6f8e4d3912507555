"""How the coordinator's weights reach the workers: by copies with versions, or by memory that all
models have in common.

:class:`InPlaceWeights` (A3C's, Mnih et al., ICML 2016, with one writer instead of many): the
parameters of the coordinator's model and of every worker's lie in the same shared memory, so that
an update is there as soon as it is made. It is safe where nobody reads while the coordinator
writes, and that is what synchronous sharing is: the coordinator makes an update when every worker
that it awaits has sent a packet, and a worker that has sent one reads nothing until that packet is
released, which comes after the update. One that is not awaited yet, because it has just been
started, begins by sending an empty packet, and a stopped one is killed before it is given up. Who
leaves because the run stops reads no weights any more. What reads weights beside the updates
(evaluations, players on another device) works on a copy that is made between them.

:class:`CopiedWeights` are for all others: asynchronous workers, which read whenever they want to,
and learners on a device of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mario_agents.config import TrainConfig
from mario_agents.core.types import Learner
from mario_agents.nn.device import resolve_device
from mario_agents.runtime.flatten import TensorLayout
from mario_agents.runtime.shm.segments import SharedSegments
from mario_agents.runtime.shm.shared_vector import SharedVector
from mario_agents.runtime.shm.shared_weights import SharedWeights
from mario_agents.runtime.transport import Weights


def open_weights(learner: Learner, config: TrainConfig, segments: SharedSegments) -> Weights:
    """The weights of a run, with room for those of ``learner``, which is on the CPU.

    Raises:
        RunError: if there is not so much shared memory.
    """
    size = weight_layout(learner.model).size
    on_cpu = resolve_device(config.device).type == "cpu"
    if config.synchronous and on_cpu and _can_be_moved(learner.model):
        return InPlaceWeights(SharedVector.create(segments, size=size))
    return CopiedWeights(SharedWeights.create(segments, size=size))


def weight_layout(model: nn.Module) -> TensorLayout:
    """How a model's weights, targets and buffers included, lie in shared memory."""
    return TensorLayout(model.state_dict().items())


class WeightNumbers(Protocol):
    """The newest weights as a vector with a version: :class:`SharedWeights`, or a way to them."""

    @property
    def version(self) -> int:
        """Of the newest vector; 0 if there is none yet."""

    def publish(self, vector: NDArray[np.float32]) -> int:
        """Let ``vector`` be the newest, and return its version."""

    def read(self, out: NDArray[np.float32], newer_than: int = 0) -> int | None:
        """Copy the newest into ``out``, and return its version; None if it is not newer."""


@dataclass(frozen=True)
class CopiedWeights:
    """Implements :class:`~mario_agents.runtime.transport.Weights` by copies with versions, which
    are read at any time."""

    shared: WeightNumbers

    def writer(self, model: nn.Module) -> CopyingWriter:
        """The end of the owner of the weights."""
        return CopyingWriter(self.shared, model)

    def reader(self, model: nn.Module) -> CopyingReader:
        """The end of a worker."""
        return CopyingReader(self.shared, model)


class _CopyingEnd:
    def __init__(self, shared: WeightNumbers, model: nn.Module) -> None:
        self._shared, self._layout = shared, weight_layout(model)
        self._tensors = list(model.state_dict().values())  # detached, but the same memory
        self._vector = np.zeros(self._layout.size, dtype=np.float32)

    @property
    def version(self) -> int:
        """Of the newest weights."""
        return self._shared.version


class CopyingWriter(_CopyingEnd):
    """Implements :class:`~mario_agents.runtime.transport.WeightsWriter`."""

    def publish(self) -> int:
        """Copy the model's weights."""
        return self._shared.publish(self._layout.pack(self._tensors, out=self._vector))


class CopyingReader(_CopyingEnd):
    """Implements :class:`~mario_agents.runtime.transport.WeightsReader`."""

    def read(self, newer_than: int = 0) -> int | None:
        """Copy newer weights into the model."""
        version = self._shared.read(self._vector, newer_than)
        if version is not None:
            self._layout.unpack(self._vector, self._tensors)
        return version


@dataclass(frozen=True)
class InPlaceWeights:
    """Implements :class:`~mario_agents.runtime.transport.Weights` by one memory for all models;
    see the module for when that is right."""

    shared: SharedVector

    def writer(self, model: nn.Module) -> InPlaceWriter:
        """Move the parameters of the owner's model, as they are, into shared memory."""
        return InPlaceWriter(self.shared, model, keep=True)

    def reader(self, model: nn.Module) -> InPlaceReader:
        """Let the parameters of a worker's model be those in shared memory."""
        return InPlaceReader(self.shared, model, keep=False)


class _InPlaceEnd:
    """Parameters are the shared memory itself. Buffers are copied when weights are published and
    read: a loss may move them, each worker's its own (statistics, running means)."""

    def __init__(self, shared: SharedVector, model: nn.Module, *, keep: bool) -> None:
        self._shared = shared
        self._copied: list[tuple[Tensor, Tensor]] = []
        """Tensors of the model, and their places in shared memory."""
        views = weight_layout(model).views(shared.vector)
        for view, tensor in zip(views, model.state_dict(keep_vars=True).values(), strict=True):
            # Numbers of 16 bits are stored as float32.
            if isinstance(tensor, nn.Parameter) and view.dtype == tensor.dtype:
                _move(tensor, view, keep=keep)
            else:
                self._copied.append((tensor.detach(), view))

    @property
    def version(self) -> int:
        """Of the newest weights."""
        return self._shared.version


class InPlaceWriter(_InPlaceEnd):
    """Implements :class:`~mario_agents.runtime.transport.WeightsWriter`."""

    def publish(self) -> int:
        """What is in the model is the newest version."""
        for tensor, view in self._copied:
            view.copy_(tensor)
        return self._shared.publish()


class InPlaceReader(_InPlaceEnd):
    """Implements :class:`~mario_agents.runtime.transport.WeightsReader`."""

    def read(self, newer_than: int = 0) -> int | None:
        """The parameters are the newest; bring the buffers up to date."""
        version = self._shared.read()
        if version <= newer_than:
            return None
        for tensor, view in self._copied:
            tensor.copy_(view)
        return version


def _move(parameter: nn.Parameter, memory: Tensor, *, keep: bool) -> None:
    """Let ``memory`` hold the numbers of ``parameter`` from now on, in the order of strides that
    the parameter has; whoever has the parameter (an optimizer) still does."""
    strides = parameter.stride() if _is_dense(parameter) else memory.stride()
    place = memory.as_strided(parameter.shape, strides)
    if keep:
        with torch.no_grad():
            place.copy_(parameter)
    parameter.data = place


def _is_dense(tensor: Tensor) -> bool:
    """Whether the numbers lie side by side, in whatever order (``channels_last``)."""
    last = sum((n - 1) * step for n, step in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.numel() == last + 1


def _can_be_moved(model: nn.Module) -> bool:
    """Whether no tensor of a model is a part of another one, which would be taken apart."""
    tensors = {id(tensor): tensor for tensor in model.state_dict(keep_vars=True).values()}
    memories = {tensor.untyped_storage().data_ptr() for tensor in tensors.values()}
    return len(memories) == len(tensors)
