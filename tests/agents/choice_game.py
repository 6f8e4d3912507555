"""A small game for world models: what was shown at the beginning decides what the end pays."""

from __future__ import annotations

from typing import Any

import gymnasium

from tests.agents.cue_game import DELAY, CueGame

CHOICE = "tests.agents.choice_game:Choice-v0"
SHUFFLED = "tests.agents.choice_game:ShuffledChoice-v0"


class ChoiceGame(CueGame):
    """At the question action 0 pays a half, and action 1 pays 1 or nothing, as the cue says.

    What the cue means can be learned before it is known which action to take, unlike in
    :class:`CueGame`, where either alone says nothing.
    """

    shuffled = False

    def step(self, action: Any) -> Any:
        asked = self.time == DELAY + 1
        obs, _, terminated, truncated, info = super().step(action)
        pays = int(self.np_random.integers(2)) if self.shuffled else self.cue
        reward = (0.5 if int(action) == 0 else float(pays)) if asked else 0.0
        return obs, reward, terminated, truncated, info


class ShuffledChoiceGame(ChoiceGame):
    """What action 1 pays has nothing to do with the cue."""

    shuffled = True


gymnasium.register(CHOICE.partition(":")[2], ChoiceGame)
gymnasium.register(SHUFFLED.partition(":")[2], ShuffledChoiceGame)
