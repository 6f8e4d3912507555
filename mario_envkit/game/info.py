"""``info`` of a step or reset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mario_envkit.game.endings import death_cause
from mario_envkit.game.levels import level_name
from mario_envkit.game.state import STATUS_NAMES, GameState


def info_of(
    state: GameState, parts: Mapping[str, Any], frame: int, stages_cleared: int, ending: str
) -> dict[str, Any]:
    """What :class:`~mario_envkit.env.MarioEnv` says of a frame; its keys are described there.

    Args:
        state: after the frame, before anything was skipped.
        parts: each term of the reward.
        frame: how many there were since the level began.
        stages_cleared: in this episode.
        ending: how the frame ended the episode, "" if it did not.
    """
    died = state.dying or state.dead
    return {
        "coins": state.coins,
        "flag_get": state.flag_get,
        "life": state.life,
        "score": state.score,
        "stage": state.stage,
        "status": STATUS_NAMES[state.powerup if state.powerup < 2 else 2],
        "time": state.time,
        "world": state.world,
        "x_pos": state.x_pos,
        "y_pos": state.y_pos,
        "level": level_name(state.world, state.stage),
        "area": state.area,
        "frame": frame,
        "stages_cleared": stages_cleared,
        "died": died,
        "death_cause": death_cause(state) if died else "",
        "life_lost": died,
        "ending": ending,
        "snapshot_saved": False,
        "snapshot_restored": False,
        # Always floats: vectorised infos take their dtype from the first value they see.
        "reward_parts": {name: float(part) for name, part in parts.items()},
    }
