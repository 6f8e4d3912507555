"""How an episode ends: the one place that says so, and what counts as success.

The native core says the same (``ending_of`` in ``native/smb.cpp``).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mario_envkit.game.levels import Level
from mario_envkit.game.state import GameState

FLAG, WARP = "flag", "warp"

DEATH_CAUSES = ("", "enemy", "pit", "clock")
"""``info["death_cause"]``, in the order of the native core; "" while Mario lives."""

ENDINGS = (*DEATH_CAUSES, FLAG, WARP)
"""``info["ending"]``, in the order of the native core.

"" while the episode goes on, and where a limit cut it short; "flag": its stage's flag or axe was
reached, or in the full game the last axe; "warp": its stage was left for another one without that;
or the cause of the death that ended it.
"""


def is_success(ending: Any) -> Any:
    """Whether an episode that ended so reached its goal; of an array, one answer for each."""
    return ending == FLAG


def clears_stage(flag_get: Any, ending: Any) -> Any:
    """Whether a step with such an info reached the flag of a stage that counts.

    It does in every stage of the full game; with a single stage to play only there, not in
    another one that a warp led to. Of arrays, one answer for each.
    """
    return flag_get & ((ending == "") | is_success(ending))


def stage_of_step(level: Any, ending: Any, before: Any) -> Any:
    """The stage that a step with such an info belongs to.

    The step that takes a warp is still one of the stage that it leaves: in its info nothing but the
    stage's number is that of the next one.

    Args:
        level: of the info, such as "1-1".
        ending: of the info.
        before: the level before the step; "" if that is not known.

    Returns:
        ``level`` or ``before``; of arrays, one for each.
    """
    warped = (ending == WARP) & (before != "")
    if isinstance(warped, np.ndarray):
        return np.where(warped, before, level)
    return before if warped else level


def death_cause(state: GameState) -> str:
    """What killed Mario: "pit", "clock" or "enemy" (fire and hammers too); "" if he lives."""
    return _killer(state) if state.dying or state.dead else ""


def _killer(state: GameState) -> str:
    if state.fallen:
        return "pit"
    return "clock" if state.time == 0 else "enemy"


def ending_of(state: GameState, level: Level | None, *, last_world: int, end_on_exit: bool) -> str:
    """How the frame that led to ``state`` ended the episode; "" if that goes on.

    Args:
        state: after the frame.
        level: the stage of the episode; None is the full game.
        last_world: with whose axe the full game is won.
        end_on_exit: whether leaving a single stage for another one is its end; otherwise the
            episode goes on there until death or the flag of another stage.
    """
    if level is None:
        if state.world_over and state.world >= last_world:
            return FLAG
        return _killer(state) if state.game_over else ""  # of the last life
    if state.dying or state.dead:
        return _killer(state)
    elsewhere = (state.world, state.stage) != level
    if state.flag_get:
        return WARP if elsewhere else FLAG
    return WARP if elsewhere and end_on_exit else ""


class EpisodeRecord(NamedTuple):
    """What an episode remembers of how it went.

    Attributes:
        stage: world and stage in which frames are counted.
        flag_seen: that stage's flag was reached.
        stages_cleared: stages whose flag was reached.
    """

    stage: tuple[int, int]
    flag_seen: bool = False
    stages_cleared: int = 0

    def at_flag(self) -> EpisodeRecord:
        """At the stage's flag or axe, where Mario may be for several frames."""
        if self.flag_seen:
            return self
        return self._replace(flag_seen=True, stages_cleared=self.stages_cleared + 1)

    def entering(self, stage: tuple[int, int]) -> EpisodeRecord:
        """In another stage, whose flag is still ahead."""
        return self._replace(stage=stage, flag_seen=False)
