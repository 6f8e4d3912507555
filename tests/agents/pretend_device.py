"""``cuda:0`` on a machine without a GPU: its numbers are on the CPU, its manners are a GPU's.

:func:`install` makes tensors on ``cuda:0`` possible in this process. They hold numbers, so that
whole runs, with their evaluations and checkpoints, compute what they compute on the CPU; and a
transfer that is missing is an error as it is on a GPU: an operation on tensors of two devices, an
array of a tensor that is not on the CPU, random numbers of a CPU generator for a tensor that is
not there.

It is made of what torch documents for extending it (``TorchDispatchMode``, wrapper subclasses).
Torch itself takes such a tensor for one on its device "meta", which has neither memory nor
autocast; Python sees ``cuda:0``. Always with the number: "cuda" asks the driver which is meant.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

NAME = "cuda:0"
_THERE = torch.device(NAME)
_ACROSS = {"_to_copy", "copy_"}
"""Operations that take a tensor from one device to another."""
_INDEXED = {"index", "index_put", "index_put_"}
"""Operations on a GPU whose indices may be on the CPU."""


class PretendTensor(Tensor):
    """A tensor on :data:`NAME`; ``inner`` is the one on the CPU that has its numbers."""

    inner: Tensor
    device = property(lambda self: _THERE)  # type: ignore[assignment]
    # No kernel of a GPU computes with it: whoever has another formula for those takes the CPU's.
    is_cuda = property(lambda self: False)  # type: ignore[assignment]
    is_meta = property(lambda self: False)  # type: ignore[assignment]
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, inner: Tensor) -> PretendTensor:
        tensor: PretendTensor = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device="meta",
        )
        tensor.inner = inner
        return tensor

    def __repr__(self) -> str:  # type: ignore[override]
        return f"{self.inner!r} on {NAME}"

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        return _run(func, args, kwargs or {})


class _Pretending(TorchDispatchMode):
    """Also sees operations without a tensor of ours: those that make one."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        return _run(func, args, kwargs or {})


def install() -> None:
    """From now on, and in every thread that is started from now on, ``cuda:0`` is there."""
    torch.cuda._lazy_init = lambda: None  # type: ignore[attr-defined]
    Tensor.pin_memory = lambda tensor, device=None: tensor  # type: ignore[method-assign]
    # These do not ask a mode where they copy what they made on the CPU.
    torch.tensor, torch.as_tensor = _then_moved(torch.tensor), _then_moved(torch.as_tensor)
    run = threading.Thread.run

    def pretending(thread: threading.Thread) -> None:
        with _Pretending():
            run(thread)

    threading.Thread.run = pretending  # type: ignore[method-assign]
    _Pretending().__enter__()


def _then_moved(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def moved(data: Any, *, device: Any = None, **options: Any) -> Tensor:
        made = make(data, **options)
        return made if device is None else made.to(device)

    return moved


def _run(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """An operation on the tensors within, if a GPU would do it; its results are where they would
    be."""
    name = func.overloadpacket.__name__
    leaves = tree_flatten((args, kwargs))[0]
    ours = [leaf for leaf in leaves if isinstance(leaf, PretendTensor)]
    others = [x for x in leaves if isinstance(x, Tensor) and not isinstance(x, PretendTensor)]
    device = kwargs.get("device")
    # What torch makes in the middle of an operation is on the device that it takes ours for.
    there = bool(ours) if device is None else torch.device(device).type in ("cuda", "meta")
    if there and any(isinstance(leaf, torch.Generator) for leaf in leaves):
        raise RuntimeError(f"{name}: expected a 'cuda' generator, but found one of the CPU.")
    indexed = name in _INDEXED and isinstance(args[0], PretendTensor)
    if ours and name not in _ACROSS and not indexed:
        _check_places(name, others)
    inner_args, inner_kwargs = tree_map(_inner, (args, dict(kwargs)))
    if device is not None:
        inner_kwargs["device"] = torch.device("cpu")
    result = func(*inner_args, **inner_kwargs)
    if not there:
        return result
    return tree_map(_outer({id(tensor.inner): tensor for tensor in ours}), result)


def _check_places(name: str, others: Sequence[Tensor]) -> None:
    """Beside tensors of ours, a number may come from the CPU, but nothing else; and no step counter
    of a fused optimizer."""
    if any(tensor.ndim or name.startswith("_fused") for tensor in others):
        raise RuntimeError(
            f"{name}: expected all tensors to be on the same device, but found {NAME} and cpu."
        )


def _inner(leaf: Any) -> Any:
    return leaf.inner if isinstance(leaf, PretendTensor) else leaf


def _outer(known: Mapping[int, PretendTensor]) -> Callable[[Any], Any]:
    """What makes a result ours; an operation in place returns the tensor that it changed."""

    def wrap(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        found = known.get(id(leaf))
        return PretendTensor(leaf) if found is None else found

    return wrap
