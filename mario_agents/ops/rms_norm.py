"""A normalisation and its activation in few passes over the numbers, forwards and backwards."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.nn import functional

EPSILON = 1e-4


class NormSlopes(NamedTuple):
    """What the gradient of :func:`rms_norm_silu` needs, for many rows at once.

    Attributes:
        normal: ``(..., n)``, the input divided by its root mean square.
        inverse: ``(..., 1)``, one over that.
        activation: ``(..., n)``, slope of the SiLU.
        scaled: ``(..., n)``, the same times the scale.
    """

    normal: Tensor
    inverse: Tensor
    activation: Tensor
    scaled: Tensor

    @classmethod
    def of(cls, x: Tensor, scale: Tensor, eps: float = EPSILON) -> NormSlopes:
        """Those at ``x`` ``(..., n)``, with a ``scale`` that fits it."""
        wide = x.float()
        inverse = _inverse(wide, eps)
        normal = wide * inverse
        scaled = normal * scale
        activation = torch.ops.aten.silu_backward(torch.ones_like(scaled), scaled)
        return cls(normal, inverse, activation, activation * scale)

    def at(self, step: int) -> NormSlopes:
        """Those of one entry of the first dimension."""
        return NormSlopes(*(part[step] for part in self))

    def input_gradient(self, gradient: Tensor) -> Tensor:
        """The gradient of the input from that of the output, ``(..., n)``."""
        normal, inverse, _, scaled = self
        into = gradient * scaled
        along = (into * normal).mean(dim=-1, keepdim=True)
        return into.addcmul_(normal, along, value=-1.0).mul_(inverse)

    def scale_gradient(self, gradient: Tensor, dims: int = 1) -> Tensor:
        """The gradient of the scale, which has the last ``dims`` dimensions of the input."""
        products = (gradient * self.activation).mul_(self.normal)
        return products.flatten(0, products.ndim - dims - 1).sum(dim=0)


class _RMSNormSiLU(torch.autograd.Function):
    """As separate operations it takes three times as long on a CPU, most of it backwards."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, eps: float) -> Tensor:
        ctx.save_for_backward(x, scale)
        ctx.eps = eps
        return _forward(x, scale, eps)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        x, scale = ctx.saved_tensors
        wide = x.float()
        inverse = _inverse(wide, ctx.eps)
        normal = wide * inverse
        into = torch.ops.aten.silu_backward(gradients[0], normal * scale)
        products = into * normal
        along = products @ scale if scale.ndim == 1 else (products * scale).sum(dim=-1)
        by_scale = products.flatten(0, products.ndim - scale.ndim - 1).sum(dim=0)
        along = along.unsqueeze(-1).div_(x.shape[-1])
        into = into.mul_(scale).addcmul_(normal, along, value=-1.0).mul_(inverse)
        return into.to(x.dtype), by_scale, None


def rms_norm_silu(x: Tensor, scale: Tensor, eps: float = EPSILON) -> Tensor:
    """``silu(x / sqrt(mean(x**2) + eps) * scale)``, the mean over the last dimension.

    RMSNorm (Zhang and Sennrich, NeurIPS 2019) and the sigmoid-weighted linear unit (Elfwing, Uchibe
    and Doya, 2018). It computes in float32, which the result has too.

    Args:
        x: ``(..., n)`` of any floating type.
        scale: ``(n,)`` float32, or more of the last dimensions of ``x``.
        eps: keeps a vector of zeros finite.
    """
    if torch.is_grad_enabled():
        return cast(Tensor, _RMSNormSiLU.apply(x, scale, eps))  # type: ignore[no-untyped-call]
    return _forward(x, scale, eps)


def _forward(x: Tensor, scale: Tensor, eps: float) -> Tensor:
    wide = x.float()
    if wide.is_cuda:  # two operations, or three, of which each has to be started
        weight = scale if scale.ndim == 1 else None
        normal = functional.rms_norm(wide, wide.shape[-1:], weight, eps)
        return functional.silu(normal if weight is not None else normal * scale)
    return functional.silu((wide * _inverse(wide, eps)).mul_(scale), inplace=True)


def _inverse(wide: Tensor, eps: float) -> Tensor:
    """``(..., 1)``, one over the root mean square."""
    # One pass over the numbers where squares and their mean are two.
    root: Tensor = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
    return root.square_().div_(wide.shape[-1]).add_(eps).rsqrt_()
