"""Returns that mix all n-step returns, along sequences of states."""

from __future__ import annotations

import torch
from torch import Tensor


def lambda_returns(
    reward: Tensor, discount: Tensor, bootstrap: Tensor, lam: float, *, last: Tensor | None = None
) -> Tensor:
    """TD(lambda) returns of all states but the last.

    ``R[t] = reward[t + 1] + discount[t + 1] * ((1 - l) * bootstrap[t + 1] + l * R[t + 1])``, where
    ``l`` is ``lam``, or 0 if ``last[t + 1]``, and ``R`` of the last state is its bootstrap:
    equation 4 of Hafner et al., "Mastering diverse control tasks through world models" (Nature 640,
    2025), over real sequences as well.

    Args:
        reward: ``(T, N)``, what came with the state.
        discount: ``(T, N)``, what the future of the state counts; 0 where nothing more comes.
        bootstrap: ``(T, N)``, values of the states.
        lam: between one-step returns (0) and sums of all rewards (1).
        last: ``(T, N)`` bool, where a sequence ends although the next entry is another one's.

    Returns:
        ``(T - 1, N)``.
    """
    mix = torch.full_like(bootstrap, lam) if last is None else lam * (~last).to(bootstrap.dtype)
    ends = reward + (1.0 - mix) * discount * bootstrap
    steps = mix * discount
    returns = [bootstrap[-1]]
    for end, step in zip(ends[1:].flip(0), steps[1:].flip(0), strict=True):
        returns.append(torch.addcmul(end, step, returns[-1]))
    return torch.stack(returns[:0:-1])
