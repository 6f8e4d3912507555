"""Numbers that change while training goes on."""

from __future__ import annotations

import math
from collections.abc import Callable


def linear_schedule(start: float, end: float, duration: int) -> Callable[[int], float]:
    """A straight line from ``start`` at step 0 to ``end`` at step ``duration``, then constant.

    The schedule of epsilon in Mnih et al. (Nature 2015) and of beta in Schaul et al. (ICLR 2016).
    A ``duration`` of 0 gives ``end`` at once.
    """

    def value(step: int) -> float:
        if step >= duration:
            return end
        return start + (end - start) * step / duration

    return value


def cosine_with_warmup(total: int, warmup: int, final_fraction: float) -> Callable[[int], float]:
    """A factor for the learning rate, for ``torch.optim.lr_scheduler.LambdaLR``.

    Rises linearly from ``1 / (warmup + 1)`` to 1 over ``warmup`` updates, then follows half a
    cosine down to ``final_fraction`` at update ``total`` (Loshchilov and Hutter, "SGDR", ICLR 2017,
    equation 5, without restarts) and stays there.
    """

    def factor(update: int) -> float:
        if update < warmup:
            return (update + 1) / (warmup + 1)
        progress = min((update - warmup) / max(total - warmup, 1), 1.0)
        return final_fraction + (1.0 - final_fraction) * 0.5 * (1.0 + math.cos(math.pi * progress))

    return factor


def apex_epsilon(index: int, count: int) -> float:
    """The probability of a random action of one of ``count`` actors: ``0.4**(1 + 7i / (N - 1))``.

    Section 4.1 of Horgan et al., "Distributed Prioritized Experience Replay" (ICLR 2018). The first
    one plays 0.4 of its actions at random, the last one 0.4**8 (0.07 %); a single one plays 0.4.
    """
    share = index / (count - 1) if count > 1 else 0.0
    return float(0.4 ** (1.0 + 7.0 * share))
