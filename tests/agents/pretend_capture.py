"""CUDA graphs on a machine without a GPU: what is recorded is done again, operation by operation.

A replay repeats the operations of the recording on the same tensors, and puts their results where
they were then. So what a graph gets wrong is wrong here as well: a number that was computed in
Python stays what it was when the graph was recorded. And what a recording on a GPU cannot have is
refused (:data:`REFUSED`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mario_agents.core.graphed import Computed

REFUSED = {
    "_local_scalar_dense": "asks the device for a number",
    "equal": "asks the device for a number",
    "nonzero": "has a result whose size depends on numbers",
    "masked_select": "has a result whose size depends on numbers",
    "_unique2": "has a result whose size depends on numbers",
    "repeat_interleave": "has a result whose size depends on numbers",
    "lift_fresh": "is a copy from the host",
}
"""Operations by which a GPU is waited for, or gets something from the host."""
_INDEXED = {"index", "index_put", "index_put_", "_index_put_impl_"}


class PretendCapture:
    """Implements :class:`~mario_agents.core.graphed.Capture`.

    Attributes:
        warm_ups, replays: how often each was done.
        strangers: tensors that no operation of a recording had made, by memory: inputs, and
            what belongs to the model.
    """

    def __init__(self) -> None:
        self.warm_ups = self.replays = self.recordings = 0
        self.strangers: dict[int, Tensor] = {}

    def warm_up(self, compute: Callable[[], Computed]) -> Computed:
        """Compute."""
        self.warm_ups += 1
        return compute()

    def record(self, compute: Callable[[], Computed]) -> tuple[Callable[[], object], Computed]:
        """Compute once, and undo what that has changed."""
        self.recordings += 1
        recorder = _Recorder()
        # A mode that dreamer uses on a CPU only, and this one pretends to be something else.
        as_gpu = patch.object(torch, "inference_mode", lambda mode=True: torch.no_grad())
        try:
            with as_gpu, recorder:
                results = compute()
        finally:
            recorder.undo()
        self.strangers |= recorder.strangers

        def replay() -> None:
            self.replays += 1
            recorder.replay()

        return replay, results


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.strangers: dict[int, Tensor] = {}
        self._made: dict[int, Tensor] = {}
        self._before: dict[int, tuple[Tensor, Tensor]] = {}
        self._done: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        self._check(func, args)
        for tensor in _tensors((args, kwargs)):
            if _memory(tensor) not in self._made:
                self.strangers[_memory(tensor)] = tensor
                if func._schema.is_mutable:
                    self._before.setdefault(id(tensor), (tensor, tensor.clone()))
        result = func(*args, **kwargs)
        for tensor in _tensors(result):
            if _memory(tensor) not in self.strangers:
                self._made[_memory(tensor)] = tensor
        if not _is_view(func):
            self._done.append((func, args, kwargs, result))
        return result

    @staticmethod
    def _check(func: Any, args: Any) -> None:
        name = func.overloadpacket.__name__
        masks = _tensors(args[1]) if name in _INDEXED else []
        if any(mask.dtype in (torch.bool, torch.uint8) for mask in masks):
            raise RuntimeError(f"{name} with a mask has a result whose size depends on numbers")
        # Attention draws nothing but what it leaves out, which is nothing here.
        seeded = torch.Tag.nondeterministic_seeded in func.tags
        if seeded and not name.startswith("_scaled_dot_product"):
            raise RuntimeError(f"{name} draws random numbers")
        if name in REFUSED:
            raise RuntimeError(f"{name} {REFUSED[name]}")

    def undo(self) -> None:
        """Give tensors that were there before the numbers that they had."""
        with torch.no_grad():
            for tensor, before in self._before.values():
                tensor.copy_(before)

    @torch.no_grad()
    def replay(self) -> None:
        """Do all of it again."""
        for func, args, kwargs, result in self._done:
            again = func(*args, **kwargs)
            if not func._schema.is_mutable:
                for old, new in zip(_tensors(result), _tensors(again), strict=True):
                    old.copy_(new)


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _is_view(func: Any) -> bool:
    """Whether the result is another look at an argument."""
    infos = [each.alias_info for each in func._schema.returns]
    return any(info is not None and not info.is_write for info in infos)
