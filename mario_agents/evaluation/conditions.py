"""The four conditions of the standard: which action is taken, and whether the console obeys.

``greedy`` takes the best action and ``sampled`` draws one as the policy says; ``plain`` is a
console that obeys, ``sticky`` one that now and then repeats the previous action. This module
imports nothing heavy, since the command line needs the names for its help.
"""

from __future__ import annotations

from typing import Literal, get_args

Condition = Literal["greedy-plain", "greedy-sticky", "sampled-plain", "sampled-sticky"]

CONDITIONS: tuple[Condition, ...] = get_args(Condition)
"""All of them, in the order in which they are played and shown."""
