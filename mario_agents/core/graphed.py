"""What a GPU computes again and again, recorded once and then started by a single call.

A loss of thousands of small operations takes a GPU less time than it takes the processor to start
them one by one. A CUDA graph is the recorded order of all of them: who replays it gives only new
inputs, in the same memory as before, and finds the results in the memory where they were.

That is right only where everything that changes from batch to batch is a tensor of the batch, or a
parameter or buffer of the model: a number that is computed in Python would stay what it was when
the graph was recorded. So a learner has to say that its loss is such a one
(:attr:`mario_agents.core.types.Learner.capturable`).
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from mario_agents.core.types import Batch, Learner

WARM_UPS = 2
"""Batches of a kind that are computed operation by operation before it is recorded: libraries make
their choices, and get their memory, when they are called first."""
MOST_GRAPHS = 8
"""Kinds of batches that are recorded; each has inputs and results of its own in memory."""

_log = logging.getLogger(__name__)


class Computed(NamedTuple):
    """What comes of a batch.

    Attributes:
        gradients: of each parameter.
        names: of the measured numbers.
        numbers: ``(n,)``, these.
        measured: what else was measured, by name.
    """

    gradients: list[Tensor]
    names: tuple[str, ...]
    numbers: Tensor
    measured: dict[str, Tensor]

    def copy(self) -> Computed:
        """The same in memory of its own."""
        measured = {name: tensor.clone() for name, tensor in self.measured.items()}
        # One operation for all of them, where clones are one each.
        copies = torch._foreach_mul(self.gradients, 1.0)
        return Computed(list(copies), self.names, self.numbers.clone(), measured)


class Capture(Protocol):
    """How a device records what it computes."""

    def warm_up(self, compute: Callable[[], Computed]) -> Computed:
        """Compute, as it will be when it is recorded."""

    def record(self, compute: Callable[[], Computed]) -> tuple[Callable[[], object], Computed]:
        """Call ``compute`` without computing anything; return what does compute it, each time that
        it is called, and where the results are then.

        Raises:
            RuntimeError: if something in it cannot be recorded.
        """


class CudaCapture:
    """Implements :class:`Capture` by CUDA graphs, which share one pool of memory.

    Args:
        device: the GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()

    def warm_up(self, compute: Callable[[], Computed]) -> Computed:
        """Compute in the stream that graphs are recorded in."""
        usual = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(usual)
        with torch.cuda.stream(self._stream):
            computed = compute()
        usual.wait_stream(self._stream)
        return computed

    def record(self, compute: Callable[[], Computed]) -> tuple[Callable[[], object], Computed]:
        """Record a graph."""
        usual, graph = torch.cuda.current_stream(self._device), torch.cuda.CUDAGraph()
        gc.collect()  # what is left of other computations may belong to another stream
        try:
            with (
                torch.cuda.device(self._device),
                # Other threads may draw the next batches meanwhile.
                torch.cuda.graph(
                    graph,
                    pool=self._pool,
                    stream=self._stream,
                    capture_error_mode="thread_local",
                ),
            ):
                computed = compute()
        finally:
            torch.cuda.set_stream(usual)  # a graph that failed leaves its own
        return graph.replay, computed


def capture_for(learner: Learner, device: torch.device, *, wanted: bool) -> Capture | None:
    """What records a learner's loss on ``device``; None where that is not wanted, or impossible."""
    real = device.type == "cuda" and torch.cuda.is_available()
    return CudaCapture(device) if wanted and real and learner.capturable else None


class _Graph(NamedTuple):
    """A recorded computation: where its inputs and results are."""

    inputs: dict[str, Tensor]
    replay: Callable[[], object]
    results: Computed


class GraphedComputation:
    """Computes batches, and records how, once for each kind of them (shapes and types).

    The first batches of a kind, and those of kinds beyond :data:`MOST_GRAPHS`, are computed
    operation by operation; so are all, after a warning, once something could not be recorded.

    Args:
        compute: of tensors by name.
        capture: records it; None never does.

    Attributes:
        failure: why nothing is recorded any more, if something could not be.
    """

    def __init__(self, compute: Callable[[Batch], Computed], capture: Capture | None) -> None:
        self._compute, self._capture = compute, capture
        self.failure = ""
        self._warm: dict[tuple[object, ...], int] = {}
        """Batches that were computed of each kind before it was recorded."""
        self._graphs: dict[tuple[object, ...], _Graph] = {}

    def __call__(self, batch: Batch) -> Computed:
        """What comes of a batch; it is the caller's."""
        if self._capture is None:
            return self._compute(batch)
        kind = tuple((name, each.shape, each.dtype) for name, each in batch.items())
        if kind not in self._graphs:
            if kind not in self._warm and len(self._warm) == MOST_GRAPHS:
                return self._compute(batch)
            if (count := self._warm.get(kind, 0)) < WARM_UPS:
                self._warm[kind] = count + 1
                return self._capture.warm_up(lambda: self._compute(batch))
            try:
                self._graphs[kind] = self._recorded(self._capture, batch)
            except RuntimeError as error:
                self._give_up(error)
                return self._compute(batch)
        graph = self._graphs[kind]
        for name, tensor in batch.items():
            graph.inputs[name].copy_(tensor)
        graph.replay()
        return graph.results.copy()

    def _recorded(self, capture: Capture, batch: Batch) -> _Graph:
        inputs = {name: tensor.clone() for name, tensor in batch.items()}
        return _Graph(inputs, *capture.record(lambda: self._compute(inputs)))

    def _give_up(self, error: RuntimeError) -> None:
        self._capture = None
        self._graphs.clear()
        self.failure = (str(error).splitlines() or ["no reason given"])[0]
        _log.warning(
            "The learner's loss could not be recorded as a CUDA graph, so that updates are slower "
            "(%s). Training goes on; --no-cuda-graphs leaves out the attempt.",
            self.failure,
        )
