"""The losses of policy-gradient learners, and what shows whether they are well."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mario_agents.ops.normalizing import EPSILON, LEAST
from mario_agents.ops.regression import regression_error


def action_log_prob(logits: Tensor, action: Tensor) -> Tensor:
    """Log-probabilities ``(B,)`` of ``action`` ``(B,)`` under ``softmax(logits)``, ``(B, A)``."""
    return functional.log_softmax(logits.float(), dim=-1).gather(1, action[:, None]).squeeze(1)


def categorical_entropy(logits: Tensor) -> Tensor:
    """Entropies ``(B,)`` in nats of the distributions ``softmax(logits)``, ``(B, A)``."""
    log_prob = functional.log_softmax(logits.float(), dim=-1)
    return -(log_prob.exp() * log_prob).sum(dim=-1)


def categorical_kl(logits: Tensor, other: Tensor) -> Tensor:
    """KL divergences ``(B,)`` in nats of ``softmax(logits)`` from ``softmax(other)``, ``(B, A)``:
    ``sum(p * (log p - log q))``."""
    log_prob = functional.log_softmax(logits.float(), dim=-1)
    return (log_prob.exp() * (log_prob - functional.log_softmax(other.float(), dim=-1))).sum(dim=-1)


def sample_categorical(logits: Tensor, rng: torch.Generator) -> Tensor:
    """Actions ``(B,)`` drawn from ``softmax(logits)``, ``(B, A)``.

    The Gumbel-max trick: ``argmax(logits + g)`` with ``g = -log(-log(u))``, u uniform (Gumbel
    1954; Maddison, Tarlow and Minka, NeurIPS 2014). ``rng`` is on the CPU, so that a run draws the
    same numbers on every device.
    """
    uniform = torch.rand(logits.shape, generator=rng).clamp_(min=torch.finfo(torch.float32).tiny)
    return (logits - (-uniform.log()).log().to(logits.device)).argmax(dim=-1)


def normalized(advantage: Tensor, epsilon: float = 1e-8) -> Tensor:
    """Mean 0 and standard deviation 1 over the batch (a batch of one gets mean 0)."""
    centred = advantage - advantage.mean()
    return centred / (centred.pow(2).mean().sqrt() + epsilon)


def normalized_by_group(x: Tensor, group: Tensor, groups: int, least: int = LEAST) -> Tensor:
    """What :func:`mario_agents.ops.normalizing.normalized_by_group` gives, by operations that a
    CUDA graph can have.

    Args:
        x: of any shape.
        group: of each number, of the same shape; 0 and more.
        groups: more than the largest of them.
        least: smaller groups are one group together.
    """
    members = (group.flatten()[:, None] == torch.arange(groups, device=x.device)).to(x.dtype)
    small = members.sum(dim=0) < least
    together = (members * small).sum(dim=1, keepdim=True)
    members = torch.cat([members * ~small, together], dim=1)
    count = members.sum(dim=0).clamp(min=1)

    def within(numbers: Tensor) -> Tensor:
        """The mean ``(N,)`` over the group of each."""
        return (members * ((members * numbers[:, None]).sum(dim=0) / count)).sum(dim=1)

    centred = x.flatten() - within(x.flatten())
    return (centred / (within(centred.square()).sqrt() + EPSILON)).view_as(x)


def clipped_surrogate(
    log_prob: Tensor, old_log_prob: Tensor, advantage: Tensor, clip: float
) -> Tensor:
    """The clipped surrogate objective of each action, ``(B,)`` as the arguments: to be maximised.

    ``min(r * A, clip(r, 1 - clip, 1 + clip) * A)`` with the probability ratio
    ``r = exp(log_prob - old_log_prob)``: equation 7 of Schulman et al., "Proximal Policy
    Optimization Algorithms" (2017).
    """
    ratio = (log_prob - old_log_prob).exp()
    return torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)


def clipped_policy_loss(
    log_prob: Tensor, old_log_prob: Tensor, advantage: Tensor, clip: float
) -> Tensor:
    """The mean of :func:`clipped_surrogate`, negated: a loss."""
    return -clipped_surrogate(log_prob, old_log_prob, advantage, clip).mean()


def value_loss(
    value: Tensor,
    target: Tensor,
    *,
    old_value: Tensor | None = None,
    clip: float | None = None,
    huber: float | None = None,
) -> Tensor:
    """The mean error of ``value`` against ``target``, each ``(B,)``.

    Args:
        old_value, clip: with a ``clip``, a value that moved farther than this from ``old_value``
            gains nothing: the larger error of the value and of the clipped value counts, as in the
            code of OpenAI's baselines ("ppo2"). Engstrom et al. (ICLR 2020) found no benefit.
        huber: as in :func:`~mario_agents.ops.regression.regression_error`.

    Raises:
        ValueError: for a ``clip`` without ``old_value``.
    """
    loss = regression_error(value, target, huber=huber)
    if clip is not None:
        if old_value is None:
            raise ValueError("clipping values needs the old values")
        near = old_value + (value - old_value).clamp(-clip, clip)
        loss = torch.maximum(loss, regression_error(near, target, huber=huber))
    return loss.mean()


def approximate_kl(log_prob: Tensor, old_log_prob: Tensor) -> Tensor:
    """KL divergence of the old from the new policy, estimated from the actions taken; a scalar.

    ``mean((r - 1) - log r)``: unbiased, never negative and of low variance (Schulman,
    "Approximating KL Divergence", joschu.net/blog/kl-approx.html, 2020, estimator k3).
    """
    log_ratio = log_prob - old_log_prob
    return (log_ratio.exp() - 1 - log_ratio).mean()


def clip_fraction(log_prob: Tensor, old_log_prob: Tensor, clip: float) -> Tensor:
    """Share of the actions whose probability moved out of the clip range; a scalar."""
    return (((log_prob - old_log_prob).exp() - 1).abs() > clip).float().mean()


def explained_variance(value: NDArray[np.floating], target: NDArray[np.floating]) -> float:
    """``1 - Var(target - value) / Var(target)``: 1 perfect values, 0 no better than a constant.

    NaN if the targets are all the same: there is nothing to explain.
    """
    variance = float(np.var(target, dtype=np.float64))
    if variance == 0:
        return float("nan")
    return 1.0 - float(np.var(np.subtract(target, value, dtype=np.float64))) / variance
