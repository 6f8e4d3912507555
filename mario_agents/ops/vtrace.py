"""V-trace: returns of one policy from the steps of another."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor


class VTrace(NamedTuple):
    """What :func:`vtrace` gives, each ``(T, B)`` and detached.

    Attributes:
        target: what the values should become.
        advantage: of the actions over what the policy that learns does.
        pg_rho: bounded ratios; ``pg_rho * advantage`` is what the log-probabilities of the actions
            are multiplied by. Whoever normalises advantages does so before: a constant that is
            taken from the product is no baseline, for it has no ratio.
    """

    target: Tensor
    advantage: Tensor
    pg_rho: Tensor


class Bounds(NamedTuple):
    """Of the ratios of the target policy's probabilities to those of the behaviour policy.

    Attributes:
        rho: bound of the ratios that errors count with; it decides which policy's values are
            learned.
        c: bound of the ratios that traces are cut with; it decides how fast.
        pg_rho: bound of the ratios in the policy gradient.
        leak: share of the unbounded ratio in each bounded one: 0 is V-trace, 1 importance sampling
            (Zahavy et al., "A Self-Tuning Actor-Critic Algorithm", NeurIPS 2020, section 3.2).
    """

    rho: float = 1.0
    c: float = 1.0
    pg_rho: float = 1.0
    leak: float = 0.0

    def bounded(self, log_ratio: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """``exp(log_ratio)`` by each of the three bounds, and 0 where ``mask`` is False."""
        bounds = (self.rho, self.c, self.pg_rho)
        # The bound comes before the exponential, so that nothing overflows.
        rho, c, pg_rho = (log_ratio.clamp(max=math.log(bound)).exp() for bound in bounds)
        if self.leak:
            whole = self.leak * log_ratio.exp()
            rho, c, pg_rho = ((1.0 - self.leak) * part + whole for part in (rho, c, pg_rho))
        if mask is not None:
            rho, c, pg_rho = (torch.where(mask, part, 0.0) for part in (rho, c, pg_rho))
        return rho, c, pg_rho


OF_PAPER = Bounds()


@torch.no_grad()
def vtrace(
    log_rho: Tensor,
    reward: Tensor,
    value: Tensor,
    final_value: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    *,
    gamma: float | Tensor,
    trace_lambda: float = 1.0,
    bounds: Bounds = OF_PAPER,
    mask: Tensor | None = None,
) -> VTrace:
    """Targets and advantages of ``T`` steps of ``B`` games that a behaviour policy played.

    Equation 1 of Espeholt et al., "IMPALA: Scalable Distributed Deep-RL with Importance Weighted
    Actor-Learner Architectures" (ICML 2018), here as the recursion of their remark 1::

        delta[t]     = rho[t] * (reward[t] + gamma * next[t] - value[t])
        error[t]     = delta[t] + gamma * trace_lambda * c[t] * error[t + 1]
        target[t]    = value[t] + error[t]
        q[t]         = reward[t] + gamma * (lambda * target[t + 1] + (1 - lambda) * next[t])
        advantage[t] = q[t] - value[t]

    where rho, c and pg_rho are the ratios ``exp(log_rho)``, each with a bound of its own. Without a
    difference between the policies, and with bounds of 1 and more, both are those of GAE
    (:func:`mario_agents.ops.gae.gae`).

    Ends are as there: no trace goes across one, a termination leaves nothing to come, and a
    truncation ``final_value`` (and ``q`` has that alone). The same is true of the last of the ``T``
    steps with ``value[T]``.

    Args:
        log_rho: ``(T, B)``, log-probability of the action by the policy that learns, less that by
            the one that played.
        reward: ``(T, B)``.
        value: ``(T + 1, B)``, by the policy that learns.
        final_value: ``(T, B)``, of the last observation of a truncated episode; anywhere else it
            may be anything, even NaN.
        terminated, truncated: ``(T, B)`` bool; both counts as terminated.
        gamma: discount for each step, or one of each step, ``(T, B)``.
        trace_lambda: 0 trusts the values (one-step errors), 1 the rewards.
        bounds: of the ratios.
        mask: ``(T, B)`` bool; where it is False the behaviour policy is too far away: nothing is
            learned from the step, and no trace goes across it (Schmitt, Hessel and Simonyan,
            "Off-Policy Actor-Critic with Shared Experience Replay", ICML 2020, section 4.2).
    """
    # ``where`` and no products with masks: NaN times 0 is NaN.
    following = torch.where(truncated, final_value, value[1:])
    following = torch.where(terminated, 0.0, following)
    rho, c, pg_rho = bounds.bounded(log_rho, mask)
    cut = terminated | truncated
    cut[-1].fill_(True)  # nothing is known of what comes behind the last step
    delta = rho * (reward + gamma * following - value[:-1])
    error = _summed(delta, torch.where(cut, 0.0, gamma * trace_lambda * c))
    later = torch.cat([error[1:], torch.zeros_like(error[:1])])
    q = reward + gamma * (following + torch.where(cut, 0.0, trace_lambda * later))
    return VTrace(value[:-1] + error, q - value[:-1], pg_rho)


def _summed(delta: Tensor, trace: Tensor) -> Tensor:
    """``error[t] = delta[t] + trace[t] * error[t + 1]``, nothing behind the last."""
    errors = [delta[-1]]
    for t in reversed(range(len(delta) - 1)):
        errors.append(delta[t] + trace[t] * errors[-1])
    return torch.stack(errors[::-1])
