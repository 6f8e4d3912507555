"""Many games of one agent at once, as a mosaic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from mario_agents.evaluation.evaluate import EvalEpisode
from mario_agents.playback.player import FrameTap, Show
from mario_envkit.plugins import Policy

Picture = NDArray[np.uint8]

_OVER = 0.45
"""Brightness of a game that is over."""


@dataclass(eq=False)
class _Tile:
    """One game: its pictures since the last time, and how it stands."""

    env: gymnasium.Env[Any, Any]
    pictures: list[Picture] = field(default_factory=list)
    last: Picture | None = None
    total: float = 0.0
    best_x: int = 0
    begun: str = ""
    steps: int = 0
    episode: EvalEpisode | None = None
    over: bool = False  # and its last picture has been seen

    def see(self, picture: Picture) -> None:
        """Take in a picture."""
        self.pictures.append(picture.copy())

    def take(self, count: int) -> list[Picture]:
        """``count`` pictures; the last one stays for as long as there is no other."""
        pictures, self.pictures = self.pictures, []
        if pictures:
            self.last = pictures[-1]
            if self.over:
                self.last = (self.last * _OVER).astype(np.uint8)
        assert self.last is not None
        return pictures + [self.last] * (count - len(pictures))

    def step(self, action: int) -> Any:
        """Go on by a step; returns the observation."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self.total += float(reward)
        self.steps += 1
        self.best_x = max(self.best_x, int(info["x_pos"]))
        if terminated or truncated:
            self.episode = EvalEpisode.ended(
                info, self.total, self.best_x, self.steps, begun=self.begun
            )
        return observation


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
    taps = [FrameTap(tile.env, tile.see) for tile in tiles]
    observations = []
    for number, tile in enumerate(tiles):
        observation, info = tile.env.reset(seed=seed + number)
        tile.best_x, tile.begun = int(info["x_pos"]), str(info["level"])
        observations.append(np.asarray(observation))
    policy.reset(len(tiles))
    while True:
        for tap, tile in zip(taps, tiles, strict=True):
            if not tile.over:
                tap.after_step()
                tile.over = tile.episode is not None
        _show_pending(tiles, columns, show)
        if all(tile.episode is not None for tile in tiles):
            return [tile.episode for tile in tiles if tile.episode is not None]
        actions = policy.act(np.stack(observations), greedy=greedy)
        for number, tile in enumerate(tiles):
            if tile.episode is None:
                observations[number] = np.asarray(tile.step(actions[number]))


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
