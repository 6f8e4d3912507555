"""Optimizers as an :class:`~mario_agents.core.updater.Updater` takes them: functions that make one.

A factory gets the parameter groups in the form of :mod:`torch.optim`, dictionaries with ``params``
and the group's own options, and returns the optimizer over them. The state of an optimizer must
consist of tensors, so that checkpoints can hold it; those of :mod:`torch.optim` do.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch

from mario_agents.core.eager import AdamW, Optimizer

OptimizerFactory = Callable[[list[dict[str, Any]]], torch.optim.Optimizer]
"""Makes an optimizer of parameter groups; learning rates are set before every step."""


def adamw(
    *, weight_decay: float = 0.0, eps: float = 1e-5, betas: tuple[float, float] = (0.9, 0.999)
) -> OptimizerFactory:
    """AdamW (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019); without
    ``weight_decay`` it is Adam."""

    def make(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        # Fused: one pass over the weights, a quarter of the time on a CPU.
        return AdamW(groups, eps=eps, betas=betas, weight_decay=weight_decay, fused=True)

    return make


class _OwnOptimizer(Optimizer):
    """All parameters of a group are moved at once, which is fewer operations."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Move the parameters that have gradients, which are used up."""
        for group in self.param_groups:
            parameters: list[torch.Tensor] = [p for p in group["params"] if p.grad is not None]
            for parameter in parameters:
                if not self.state[parameter]:
                    self.state[parameter] = self._initial(parameter, group)
            if parameters:
                self._move(parameters, group)

    @abstractmethod
    def _initial(self, parameter: torch.Tensor, group: dict[str, Any]) -> dict[str, torch.Tensor]:
        """What is kept of a parameter, before its first step."""

    @abstractmethod
    def _move(self, parameters: list[torch.Tensor], group: dict[str, Any]) -> None:
        """Take a step."""


class RMSProp(_OwnOptimizer):
    """RMSProp as TensorFlow has it, and so the published IMPALA and A3C::

        square = decay * square + (1 - decay) * gradient**2
        step   = momentum * step + lr * gradient / sqrt(square + eps)
        parameter -= step

    ``eps`` is added to the mean of squares, which begins at 1. :class:`torch.optim.RMSprop` adds it
    to the root of that, which begins at 0: there the numbers of those papers mean something else (a
    step is up to ten times as large, and the first ones are as large as ``1 / sqrt(1 - decay)``
    learning rates).

    Args:
        groups: as of :mod:`torch.optim`; each needs ``lr``.
        decay: of the mean of squares.
        eps: added to it.
        momentum: 0 is without.
    """

    def __init__(
        self, groups: list[dict[str, Any]], *, decay: float, eps: float, momentum: float
    ) -> None:
        super().__init__(groups, {"decay": decay, "eps": eps, "momentum": momentum})

    def _initial(self, parameter: torch.Tensor, group: dict[str, Any]) -> dict[str, torch.Tensor]:
        momentum = {"step": torch.zeros_like(parameter)} if group["momentum"] else {}
        return {"square": torch.ones_like(parameter), **momentum}

    def _move(self, parameters: list[torch.Tensor], group: dict[str, Any]) -> None:
        states = [self.state[parameter] for parameter in parameters]
        squares = [state["square"] for state in states]
        steps = [p.grad for p in parameters if p.grad is not None]
        torch._foreach_mul_(squares, group["decay"])
        torch._foreach_addcmul_(squares, steps, steps, 1.0 - group["decay"])
        scale = torch._foreach_add(squares, group["eps"])
        torch._foreach_sqrt_(scale)
        torch._foreach_div_(steps, scale)
        torch._foreach_mul_(steps, group["lr"])
        if group["momentum"]:
            before = [state["step"] for state in states]
            torch._foreach_mul_(before, group["momentum"])
            torch._foreach_add_(before, steps)
            steps = before
        torch._foreach_sub_(parameters, steps)


def rmsprop(*, decay: float = 0.99, eps: float = 0.01, momentum: float = 0.0) -> OptimizerFactory:
    """:class:`RMSProp`, with the numbers of Espeholt et al., "IMPALA" (ICML 2018), for Atari."""

    def make(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return RMSProp(groups, decay=decay, eps=eps, momentum=momentum)

    return make


class LaProp(_OwnOptimizer):
    """Momentum over gradients that were scaled before, and not scaled momentum as in Adam.

    Ziyin, Wang and Ueda, "LaProp: Separating Momentum and Adaptivity in Adam" (2020): stable also
    where the squared gradients' mean is short-lived or tiny. Both means are corrected for their
    beginning at zero.

    Args:
        groups: as of :mod:`torch.optim`; each needs ``lr``.
        betas: decay of the momentum and of the mean of squares.
        eps: added to the root of the squares.
    """

    def __init__(
        self, groups: list[dict[str, Any]], *, betas: tuple[float, float], eps: float
    ) -> None:
        super().__init__(groups, {"betas": betas, "eps": eps})

    def _initial(self, parameter: torch.Tensor, group: dict[str, Any]) -> dict[str, torch.Tensor]:
        zeros = torch.zeros_like
        momentum, square = zeros(parameter), zeros(parameter)
        return {"step": torch.zeros(()), "momentum": momentum, "square": square}

    def _move(self, parameters: list[torch.Tensor], group: dict[str, Any]) -> None:
        states = [self.state[parameter] for parameter in parameters]
        counts = [state["step"] for state in states]
        squares, momenta = ([s[name] for s in states] for name in ("square", "momentum"))
        gradients = [p.grad for p in parameters if p.grad is not None]
        momentum, decay = group["betas"]
        torch._foreach_add_(counts, 1.0)
        step = float(counts[0])
        torch._foreach_mul_(squares, decay)
        torch._foreach_addcmul_(squares, gradients, gradients, 1.0 - decay)
        scale = torch._foreach_sqrt(squares)
        torch._foreach_div_(scale, (1.0 - decay**step) ** 0.5)
        torch._foreach_add_(scale, group["eps"])
        torch._foreach_div_(gradients, scale)
        torch._foreach_lerp_(momenta, gradients, 1.0 - momentum)
        torch._foreach_add_(parameters, momenta, alpha=-group["lr"] / (1.0 - momentum**step))


def laprop(*, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-20) -> OptimizerFactory:
    """:class:`LaProp`, with the numbers of Hafner et al., "Mastering diverse control tasks through
    world models" (Nature 640, 2025)."""

    def make(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return LaProp(groups, betas=betas, eps=eps)

    return make
