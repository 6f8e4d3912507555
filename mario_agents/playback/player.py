"""Let an agent play one game after another where a person, or a video, can see every frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from mario_agents.evaluation.evaluate import EvalEpisode
from mario_envkit.plugins import Policy
from mario_envkit.snapshots.context import Context, Saved

Show = Callable[[NDArray[np.uint8]], None]
"""Takes an RGB picture ``(H, W, 3)``."""


class FrameTap:
    """Sends the pictures of an environment to ``show``: every frame where it can.

    Games of the kit call ``on_frame`` on each frame, those between two agent steps included. Of
    other environments we see what ``render()`` gives after each step.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], show: Show) -> None:
        self._env = env
        self._show = show
        self._per_frame = hasattr(env.unwrapped, "on_frame")
        metadata = env.unwrapped.metadata if self._per_frame else env.metadata
        self.fps: float = float(metadata.get("render_fps", 60))
        if self._per_frame:
            env.unwrapped.on_frame = show  # type: ignore[attr-defined]

    def after_step(self) -> None:
        """To be called after every reset and step."""
        if not self._per_frame:
            self._show(np.asarray(self._env.render(), dtype=np.uint8))


def play_episode(
    policy: Policy,
    env: gymnasium.Env[Any, Any],
    *,
    greedy: bool,
    seed: int,
    tap: FrameTap | None = None,
    visit: Callable[[Mapping[str, Any]], object] | None = None,
    max_steps: int | None = None,
) -> EvalEpisode:
    """Play one episode in a single environment.

    Args:
        policy, env, greedy, seed: who plays what, and how.
        tap: shows the pictures.
        visit: called with the info of the reset and of every step.
        max_steps: agent steps after which the episode is left, as "stalled".
    """
    observation, info = env.reset(seed=seed)
    policy.reset(1)
    total, steps, best_x = 0.0, 0, int(info["x_pos"])
    begun = str(info["level"])
    over = False
    while True:
        if tap is not None:
            tap.after_step()
        if visit is not None:
            visit(info)
        if over:
            break
        action = policy.act(np.asarray(observation)[None], greedy=greedy)[0]
        observation, reward, terminated, truncated, info = env.step(action)
        total += float(reward)
        steps += 1
        best_x = max(best_x, int(info["x_pos"]))
        over = terminated or truncated or steps == max_steps
    return EvalEpisode.ended(info, total, best_x, steps, begun=begun)


def go_back(env: gymnasium.Env[Any, Any], saved: Saved) -> None:
    """Let a single environment be a game that was saved, maybe in a vector of such.

    Raises:
        SnapshotMismatch: if it was another kind of environment.
    """
    env.reset()
    Context(env).load(saved)


def replay_actions(
    env: gymnasium.Env[Any, Any],
    actions: Sequence[int],
    *,
    tap: FrameTap,
    visit: Callable[[Mapping[str, Any]], object],
) -> EvalEpisode:
    """Play ``actions`` in a game as it stands, and call that an episode.

    Args:
        env: the game.
        actions: at least one.
        tap, visit: as for :func:`play_episode`.
    """
    total, best_x = 0.0, 0
    begun = ""
    for action in actions:
        _, reward, _, _, info = env.step(action)
        tap.after_step()
        visit(info)
        total += float(reward)
        best_x = max(best_x, int(info["x_pos"]))
        begun = begun or str(info["level"])
    return EvalEpisode.ended(info, total, best_x, len(actions), begun=begun)
