"""Tiles as a picture for people."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mario_envkit.game.tiles import CODES, GRID_ROWS, Tile

COLOURS: NDArray[np.uint8] = np.zeros((CODES, 3), np.uint8)
"""RGB of every :class:`~mario_envkit.game.tiles.Tile`."""
for _code, _colour in {
    Tile.EMPTY: (24, 26, 38), Tile.SOLID: (124, 110, 98), Tile.BRICK: (168, 96, 60),
    Tile.QUESTION: (236, 180, 60), Tile.PIPE: (40, 150, 70), Tile.HIDDEN: (60, 58, 76),
    Tile.COIN: (250, 220, 110), Tile.VINE: (120, 190, 90), Tile.GOAL: (250, 250, 250),
    Tile.PLATFORM: (190, 190, 210), Tile.SPRING: (200, 160, 220), Tile.POWER_UP: (255, 120, 200),
    Tile.MARIO: (70, 150, 255), Tile.FIREBALL: (150, 220, 255), Tile.SHELL: (190, 150, 60),
    Tile.ENEMY: (230, 110, 50), Tile.FLYER: (240, 80, 80), Tile.SPIKY: (220, 40, 60),
    Tile.HAZARD: (255, 40, 20), Tile.BOWSER: (180, 20, 90),
}.items():  # fmt: skip
    COLOURS[_code] = _colour


def draw_tiles(picture: NDArray[np.uint8], side: int = 16) -> NDArray[np.uint8]:
    """The grid of a tile picture ``(16, 16)`` as RGB ``(13 * side, 16 * side, 3)`` uint8."""
    rgb = COLOURS[picture[:GRID_ROWS]].repeat(side, 0).repeat(side, 1)
    if side >= 4:
        rgb[::side] //= 2  # lines between the blocks
        rgb[:, ::side] //= 2
    return rgb
