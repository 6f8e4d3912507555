"""One game with every frame rendered, for windows and videos, and actions that are played again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from mario_agents.evaluation.results import EvalEpisode
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


class OneEpisode(gymnasium.Wrapper[Any, Any, Any, Any]):
    """A game that is played for one episode, and then stands still.

    Whoever made the environment closes it.

    Args:
        env: the game, before its reset, or as it stands.
        tap: shows the pictures.
        visit: called with the info of the reset and of every step.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        tap: FrameTap | None = None,
        visit: Callable[[Mapping[str, Any]], object] | None = None,
    ) -> None:
        super().__init__(env)
        self._tap, self._visit = tap, visit
        self._total, self._best_x, self._begun = 0.0, 0, ""
        self._last: tuple[Any, dict[str, Any]] | None = None
        self.steps, self.over = 0, False

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Begin the episode; once it has begun, nothing happens."""
        return self._last or self._see(*self.env.reset(**kwargs))

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Make a step; once the episode is over, nothing happens."""
        if self.over:
            assert self._last is not None
            return self._last[0], 0.0, False, False, self._last[1]
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._total += float(reward)
        self.steps += 1
        self.over = terminated or truncated
        self._see(observation, info)
        return observation, float(reward), terminated, truncated, info

    def _see(self, observation: Any, info: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        self._last = observation, info
        self._best_x = max(self._best_x, int(info["x_pos"]))
        self._begun = self._begun or str(info["level"])
        if self._tap is not None:
            self._tap.after_step()
        if self._visit is not None:
            self._visit(info)
        return self._last

    def episode(self) -> EvalEpisode:
        """What was played so far."""
        assert self._last is not None
        return EvalEpisode.ended(
            self._last[1], self._total, self._best_x, self.steps, begun=self._begun
        )

    def close(self) -> None:
        """Nothing happens."""


def go_back(env: gymnasium.Env[Any, Any], saved: Saved) -> None:
    """Let a single environment be a game that was saved, maybe in a vector of such.

    Raises:
        SnapshotMismatch: if it was another kind of environment.
    """
    env.reset()
    Context(env).load(saved)


def replay_actions(
    env: gymnasium.Env[Any, Any],
    actions: Iterable[int],
    *,
    tap: FrameTap,
    visit: Callable[[Mapping[str, Any]], object],
) -> EvalEpisode:
    """Play ``actions`` in a game as it stands, and call that an episode.

    Args:
        env: the game.
        actions: at least one.
        tap, visit: see :class:`OneEpisode`.
    """
    game = OneEpisode(env, tap, visit)
    for action in actions:
        game.step(action)
    return game.episode()
