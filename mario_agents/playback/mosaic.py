"""Many games of one agent at once, as a mosaic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from mario_agents.evaluation.results import EvalEpisode
from mario_agents.playback.player import FrameTap, OneEpisode, Show
from mario_agents.playback.policy_player import play_together
from mario_envkit.plugins import Policy

Picture = NDArray[np.uint8]

_OVER = 0.45
"""Brightness of a game that is over."""


class _Tile:
    """One game, and its pictures since the last time."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        self.game = OneEpisode(env, FrameTap(env, self._see))
        self.pictures: list[Picture] = []
        self._last: Picture | None = None

    def _see(self, picture: Picture) -> None:
        self.pictures.append(picture.copy())

    def take(self, count: int) -> list[Picture]:
        """``count`` pictures; the last one stays for as long as there is no other."""
        pictures, self.pictures = self.pictures, []
        if pictures:
            self._last = pictures[-1]
            if self.game.over:
                self._last = (self._last * _OVER).astype(np.uint8)
        assert self._last is not None
        return pictures + [self._last] * (count - len(pictures))


def play_mosaic(
    policy: Policy,
    envs: Sequence[gymnasium.Env[Any, Any]],
    columns: int,
    show: Show,
    *,
    greedy: bool,
    seed: int,
) -> list[EvalEpisode]:
    """Play an episode in every environment at the same time, until the last one is over.

    Args:
        policy: plays all of them, as a batch.
        envs: with pictures of one size; environment ``i`` is seeded with ``seed + i``.
        columns: games in a row of the mosaic, filled row by row.
        show: takes the mosaic, frame by frame. A game that is over stays where it ended, darker.
        greedy: the best action, or sampled as the agent explores.

    Returns:
        The episodes, by environment.
    """
    tiles = [_Tile(env) for env in envs]
    games = [tile.game for tile in tiles]
    for _ in play_together(policy, games, greedy=greedy, seed=seed):
        _show_pending(tiles, columns, show)
    return [game.episode() for game in games]


def _show_pending(tiles: Sequence[_Tile], columns: int, show: Show) -> None:
    count = max(len(tile.pictures) for tile in tiles)
    frames = [tile.take(count) for tile in tiles]
    for pictures in zip(*frames, strict=True):
        show(_compose(pictures, columns))


def _compose(pictures: Sequence[Picture], columns: int) -> Picture:
    """The pictures side by side, row by row; black where there is none."""
    height, width, _ = pictures[0].shape
    rows = -(-len(pictures) // columns)
    whole = np.zeros((rows * height, columns * width, 3), np.uint8)
    for number, picture in enumerate(pictures):
        y, x = divmod(number, columns)
        whole[y * height : (y + 1) * height, x * width : (x + 1) * width] = picture
    return whole
