"""Optimizers as an :class:`~mario_agents.core.updater.Updater` takes them: functions that make one.

A factory gets the parameter groups in the form of :mod:`torch.optim`, dictionaries with ``params``
and the group's own options, and returns the optimizer over them. The state of an optimizer must
consist of tensors, so that checkpoints can hold it; those of :mod:`torch.optim` do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

OptimizerFactory = Callable[[list[dict[str, Any]]], torch.optim.Optimizer]
"""Makes an optimizer of parameter groups; learning rates are set before every step."""


def adamw(
    *, weight_decay: float = 0.0, eps: float = 1e-5, betas: tuple[float, float] = (0.9, 0.999)
) -> OptimizerFactory:
    """AdamW (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019); without
    ``weight_decay`` it is Adam."""

    def make(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        # Fused: one pass over the weights, a quarter of the time on a CPU.
        return torch.optim.AdamW(
            groups, eps=eps, betas=betas, weight_decay=weight_decay, fused=True
        )

    return make


def rmsprop(*, decay: float = 0.99, eps: float = 0.01, momentum: float = 0.0) -> OptimizerFactory:
    """RMSProp (Tieleman and Hinton, 2012), with the numbers of IMPALA (Espeholt et al., 2018).

    ``decay`` is that of the mean of squared gradients.
    """

    def make(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.RMSprop(groups, alpha=decay, eps=eps, momentum=momentum)

    return make
