"""Keeping action values within a known range."""

from __future__ import annotations

from torch import Tensor


def softsign_bound(q: Tensor, q_scale: float) -> Tensor:
    """Squash ``q`` into the open interval ``(-q_scale, q_scale)``.

    ``q_scale * softsign(q / q_scale) = q / (1 + |q| / q_scale)`` (softsign: Turian, Bergstra and
    Bengio, "Quadratic features and deep architectures for chunking", 2009). It is strictly
    monotone, so the best action stays the best, and its slope at 0 is 1 whatever the scale is, so
    that ``q_scale`` bounds the values without acting as a second learning rate.
    """
    return q / (1.0 + q.abs() / q_scale)
