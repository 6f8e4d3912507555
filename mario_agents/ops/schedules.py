"""Numbers that change while training goes on."""

from __future__ import annotations

import math
from collections.abc import Callable

from mario_agents.config import LrScaling, Schedule


def linear_schedule(start: float, end: float, duration: int) -> Callable[[int], float]:
    """A straight line from ``start`` at step 0 to ``end`` at step ``duration``, then constant.

    The schedule of epsilon in Mnih et al. (Nature 2015) and of beta in Schaul et al. (ICLR 2016).
    A ``duration`` of 0 gives ``end`` at once.
    """

    return Schedule(start, end, 0, duration)


def cosine_with_warmup(
    peak: float, end: float, *, warmup: int, total: int
) -> Callable[[int], float]:
    """A learning rate by the number of packets of gradients so far.

    Rises linearly from ``peak / (warmup + 1)`` to ``peak`` over ``warmup`` packets, then follows
    half a cosine down to ``end`` at packet ``total`` (Loshchilov and Hutter, "SGDR", ICLR 2017,
    equation 5, without restarts) and stays there.
    """
    low = end / peak

    def value(packets: int) -> float:
        if packets < warmup:
            return peak * ((packets + 1) / (warmup + 1))
        progress = min((packets - warmup) / max(total - warmup, 1), 1.0)
        return peak * (low + (1.0 - low) * 0.5 * (1.0 + math.cos(math.pi * progress)))

    return value


def by_packets(schedule: Schedule, *, packets: int, total_steps: int) -> Callable[[int], float]:
    """A learning rate by the number of packets of gradients so far.

    Args:
        schedule: the learning rate by agent steps.
        packets, total_steps: of the whole run, over which both grow evenly.
    """
    return lambda count: schedule(count * total_steps // packets)


def lr_factor(scaling: LrScaling, count: int) -> float:
    """What the learning rate of an update from the mean of ``count`` gradients is multiplied by:
    1; the square root of ``count``, which keeps the variance of updates (Krizhevsky, "One weird
    trick for parallelizing convolutional neural networks", 2014, section 5); or ``count``, which
    keeps the length of the way (Goyal et al., "Accurate, Large Minibatch SGD", 2017, section 2.1).
    """
    return {"none": 1.0, "sqrt": math.sqrt(count), "linear": float(count)}[scaling]


def apex_epsilon(index: int, count: int, base: float = 0.4, alpha: float = 7.0) -> float:
    """The probability of a random action of one of ``count`` actors:
    ``base**(1 + alpha * i / (N - 1))``.

    Section 4.1 of Horgan et al., "Distributed Prioritized Experience Replay" (ICLR 2018), with its
    ``base`` and ``alpha``: the first one plays 0.4 of its actions at random, the last one 0.4**8
    (0.07 %). A single one plays ``base``, as the first of many.
    """
    share = index / (count - 1) if count > 1 else 0.0
    return float(base ** (1.0 + alpha * share))
