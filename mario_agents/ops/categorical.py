"""Vectors of categorical variables: mixing, sampling, and how far two of them are apart.

Shapes are ``(..., S, C)``: ``S`` variables with ``C`` classes each.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


def mixed_probs(logits: Tensor, uniform: float) -> Tensor:
    """``softmax(logits)`` with a share ``uniform`` of the uniform distribution mixed in, float32.

    No class is ever impossible, so that no divergence is infinite (Hafner et al., Nature 640, 2025,
    section "World model learning", with 1 %).
    """
    return logits.float().softmax(dim=-1) * (1.0 - uniform) + uniform / logits.shape[-1]


def sample_classes(probs: Tensor, noise: Tensor) -> Tensor:
    """Classes ``(...)`` int64, drawn from ``probs`` ``(..., C)`` without gradients.

    Args:
        noise: ``(...)`` uniform in [0, 1): the sample is where the cumulative distribution passes
            it.
    """
    passed = (probs.detach().cumsum(dim=-1) <= noise.unsqueeze(-1)).sum(dim=-1)
    # Rounding may leave the sum of all a little below the noise.
    return passed.clamp_(max=probs.shape[-1] - 1)


def sample_one_hot(probs: Tensor, noise: Tensor) -> Tensor:
    """:func:`sample_classes` as one-hot vectors ``(..., C)``, in the dtype of ``probs``."""
    classes = sample_classes(probs, noise).unsqueeze(-1)
    return torch.zeros_like(probs).scatter_(-1, classes, 1.0)


def straight_through(sample: Tensor, probs: Tensor) -> Tensor:
    """``sample``, with the gradient of ``probs`` (Bengio, Léonard and Courville, "Estimating or
    Propagating Gradients Through Stochastic Neurons", 2013)."""
    return sample + (probs - probs.detach())


def most_likely(probs: Tensor) -> Tensor:
    """One-hot ``(..., C)`` of the likeliest classes, in the dtype of ``probs``."""
    return functional.one_hot(probs.argmax(dim=-1), probs.shape[-1]).to(probs.dtype)


def categorical_kl(probs: Tensor, others: Tensor) -> Tensor:
    """Divergences ``KL(probs || others)`` ``(...)`` in nats, summed over the ``S`` variables."""
    return (probs * (probs.log() - others.log())).sum(dim=(-2, -1))


class BalancedKL(NamedTuple):
    """Two losses ``(...)`` of one value; see :func:`balanced_kl`.

    Attributes:
        dynamics: moves the prior towards the posterior, and not the other way round.
        representation: moves the posterior towards the prior.
    """

    dynamics: Tensor
    representation: Tensor


def balanced_kl(posterior: Tensor, prior: Tensor, free_nats: float) -> BalancedKL:
    """Divergences of the posterior from the prior, one for each of the two to move.

    Below ``free_nats`` there is nothing to gain (equation 3 of Hafner et al., Nature 640, 2025):
    the loss is that number, without a gradient.

    Args:
        posterior: probabilities ``(..., S, C)``, without zeros.
        prior: the same.
        free_nats: of each vector of ``S`` variables.
    """
    return BalancedKL(
        categorical_kl(posterior.detach(), prior).clamp(min=free_nats),
        categorical_kl(posterior, prior.detach()).clamp(min=free_nats),
    )
