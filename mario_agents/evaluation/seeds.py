"""Seeds of the games in which weights are judged while they train.

They are never those in which the result is measured later: ``mario-agents eval`` has seeds below
:data:`FIRST`, evaluations during training have others. And each has seeds of its own, so that the
best of many is not the one that had the luck of the same few games.
"""

from __future__ import annotations

import numpy as np

FIRST = 2**20
"""The smallest seed of an evaluation during training."""
_LAST = 2**31 - FIRST


def training_seed(seed: int, step: int, stage: int) -> int:
    """The first seed of an evaluation during training; its other episodes have those that follow.

    Args:
        seed: of the run.
        step: agent steps after which the weights were taken.
        stage: of the evaluation, see :class:`~mario_agents.config.evaluation.EvaluationOptions`.
    """
    (drawn,) = np.random.SeedSequence([seed, step, stage]).generate_state(1)
    return FIRST + int(drawn) % (_LAST - FIRST)
