"""The six conditions of the standard: which action is taken, and whether the console obeys.

``greedy`` takes the best action and ``sampled`` draws one as the policy says; ``plain`` is a
console that obeys, ``sticky`` one that now and then repeats the previous action for a whole agent
step, and ``frames`` one that, as the Arcade Learning Environment does, draws anew for every frame
whether it still sees the buttons of the frame before. This module imports nothing heavy, since the
command line needs the names for its help.
"""

from __future__ import annotations

from typing import Literal, get_args

Condition = Literal[
    "greedy-plain",
    "greedy-sticky",
    "greedy-frames",
    "sampled-plain",
    "sampled-sticky",
    "sampled-frames",
]

CONDITIONS: tuple[Condition, ...] = get_args(Condition)
"""All of them, in the order in which they are played and shown."""
