"""How a screen becomes an observation: the one definition of crop, grey and area resize.

Every backend gives the same bytes as :func:`render`, which is written to be obviously right;
the native core computes the same integers faster.

* Grey is integer luma of the RGB picture: ``(299 R + 587 G + 114 B + 500) // 1000`` (ITU-R BT.601,
  rounded). OpenCV's fixed-point ``cvtColor`` differs from it by at most 1.
* Area resize weighs every source pixel by the exact integer area that it shares with the target
  pixel, sums, and rounds half up. OpenCV's ``INTER_AREA`` computes the same average in floating
  point and rounds half to even: at most 1 apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import gcd
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mario_envkit.arguments import as_bool, as_choice, as_int, as_sequence, not_possible, plain
from mario_envkit.emulator.protocol import SCREEN_HEIGHT, SCREEN_WIDTH
from mario_envkit.errors import BackendUnavailable, OptionError

STATUS_BAR_HEIGHT = 32
"""Rows at the top of the screen that hold score, coins, world and time."""

PALETTE_SLOTS = 32
"""Entries of the console's palette memory: 16 for the background, 16 for sprites."""


def as_picture(value: Any) -> Picture:
    """``value``, which is a picture; None is the whole screen.

    Raises:
        OptionError: if it is something else.
    """
    picture = Picture() if value is None else value
    if not isinstance(picture, Picture):
        raise not_possible("picture", picture, "a Picture, or None")
    return picture


@dataclass(frozen=True, slots=True)
class Picture:
    """From the screen to an observation: crop the top, then grey, then resize.

    Attributes:
        size: ``(height, width)`` of the observation in pixels; None keeps the size.
        grayscale: one luma channel instead of RGB.
        crop_top: rows cut off at the top (:data:`STATUS_BAR_HEIGHT` drops the score bar).
        palette: what grey a colour becomes; for grayscale only. ``"luma"``: its brightness.
            ``"contrast"``: by layer, made for learning: backdrop 0, background 30 to 140, sprites
            150 to 244 (``30 + 7 R // 16`` and ``150 + 6 R // 16``, R being the red channel). Or 32
            values 0 to 255, one for each slot of the console's palette memory: 0 backdrop, 1 to 15
            background, 17 to 31 sprites. Only the native backend knows layers and slots.

    Raises:
        OptionError: for a picture that is not possible.
    """

    size: tuple[int, int] | None = None
    grayscale: bool = False
    crop_top: int = 0
    palette: Literal["luma", "contrast"] | tuple[int, ...] = "luma"

    def __post_init__(self) -> None:
        values = {
            "size": screen_size_of("size", self.size),
            "grayscale": as_bool("grayscale", self.grayscale),
            "crop_top": as_int("crop_top", self.crop_top, most=SCREEN_HEIGHT - 1, what="rows"),
            "palette": _palette_of(self.palette),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        height, width = self.source_size
        if self.size is not None and (self.size[0] > height or self.size[1] > width):
            raise OptionError(
                f"screen_size={self.size} is not possible: pictures are only made smaller, give "
                f"a height of 1 to {height} and a width of 1 to {width}."
            )
        if self.palette != "luma" and not self.grayscale:
            raise OptionError("palette is the table of grey values: give it with grayscale=True.")

    @property
    def source_size(self) -> tuple[int, int]:
        """``(height, width)`` of the screen after the crop."""
        return SCREEN_HEIGHT - self.crop_top, SCREEN_WIDTH

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the observation: ``(height, width)`` if grey, else ``(height, width, 3)``."""
        size = self.size or self.source_size
        return size if self.grayscale else (*size, 3)


def screen_size_of(name: str, value: Any) -> tuple[int, int] | None:
    """``(height, width)`` of the argument ``name``, which may be the side of a square, or None.

    Raises:
        OptionError: for anything else.
    """
    if value is None:
        return None
    size = plain(value)
    expected = f"the side of a square, or (height, width) up to ({SCREEN_HEIGHT}, {SCREEN_WIDTH})"
    if isinstance(size, (int, float)):
        size = size, size
    sides = as_sequence(name, size, expected)
    if len(sides) != 2:
        raise not_possible(name, value, expected)
    height, width = (
        as_int(name, side, least=1, most=SCREEN_WIDTH, what="pixels") for side in sides
    )
    return height, width


def _palette_of(palette: Any) -> Any:
    """The name of a palette, or a tuple of greys."""
    if isinstance(plain(palette), str):
        return as_choice("palette", palette, ("luma", "contrast"))
    expected = f"'luma', 'contrast' or {PALETTE_SLOTS} values 0 to 255, one for each palette slot"
    greys = as_sequence("palette", palette, expected)
    if len(greys) != PALETTE_SLOTS:
        raise not_possible("palette", palette, expected)
    return tuple(as_int(f"palette[{i}]", grey, most=255) for i, grey in enumerate(greys))


@lru_cache
def area_weights(source: int, target: int) -> tuple[NDArray[np.float32], int]:
    """Integer area weights, ``(target, source)``, and what each row sums to.

    Source pixel ``i`` covers ``[i * target, (i + 1) * target)`` and target pixel ``o`` covers
    ``[o * source, (o + 1) * source)`` on a common ruler; the weight is what they share, divided by
    the greatest common divisor. As float32 they stay exact: 255 * 240 * 256 < 2**24.
    """
    edges_source = np.arange(source + 1) * target
    edges_target = np.arange(target + 1) * source
    upper = np.minimum(edges_source[None, 1:], edges_target[1:, None])
    lower = np.maximum(edges_source[None, :-1], edges_target[:-1, None])
    divisor = gcd(source, target)
    return (np.maximum(upper - lower, 0) // divisor).astype(np.float32), source // divisor


def luma(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey of an RGB picture ``(..., 3)`` uint8, as integer luma (see the module's text)."""
    sums = rgb[..., 0] * np.uint32(299)
    sums += rgb[..., 1] * np.uint32(587)
    sums += rgb[..., 2] * np.uint32(114)
    sums += np.uint32(500)
    grey: NDArray[np.uint8] = (sums // np.uint32(1000)).astype(np.uint8)
    return grey


def area_resize(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Shrink ``(H, W)`` or ``(H, W, C)`` uint8 to ``size`` by exact area averages."""
    rows, row_total = area_weights(image.shape[0], size[0])
    columns, column_total = area_weights(image.shape[1], size[1])
    if image.ndim == 3:
        planes = [area_resize(image[..., channel], size) for channel in range(image.shape[2])]
        return np.stack(planes, axis=-1)
    total = row_total * column_total
    sums = (rows @ image.astype(np.float32) @ columns.T).astype(np.uint32)
    averages: NDArray[np.uint8] = ((sums + total // 2) // total).astype(np.uint8)
    return averages


def render(rgb: NDArray[np.uint8], picture: Picture) -> NDArray[np.uint8]:
    """Turn a screen ``(240, 256, 3)`` uint8 into the observation that ``picture`` describes.

    Raises:
        BackendUnavailable: for a palette other than ``"luma"``.
    """
    if picture.palette != "luma":
        raise BackendUnavailable(
            "palette='contrast' and tables need the native backend: an RGB screen does not say "
            "which layer a pixel came from; use backend='native' or palette='luma'."
        )
    image = rgb[picture.crop_top :]
    if picture.grayscale:
        image = luma(image)
    if picture.size is not None and picture.size != image.shape[:2]:
        return area_resize(image, picture.size)
    return np.array(image)
