"""Grey and resize against slow, obvious definitions, and against OpenCV."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mario_envkit.emulator.picture import Picture, area_resize, luma, render
from mario_envkit.errors import OptionError


def exact_area_average(image, height, width):
    """Each target pixel as an exact fraction of what it covers, rounded half up."""
    rows, columns = image.shape
    out = np.zeros((height, width), np.uint8)
    for y in range(height):
        top, bottom = Fraction(y * rows, height), Fraction((y + 1) * rows, height)
        for x in range(width):
            left, right = Fraction(x * columns, width), Fraction((x + 1) * columns, width)
            total = Fraction(0)
            for i in range(int(top), -int(-bottom // 1)):
                for j in range(int(left), -int(-right // 1)):
                    share = (min(bottom, i + 1) - max(top, i)) * (min(right, j + 1) - max(left, j))
                    total += share * int(image[i, j])
            out[y, x] = int(total / ((bottom - top) * (right - left)) + Fraction(1, 2))
    return out


@settings(max_examples=25)
@given(st.data())
def test_area_resize_is_the_exact_average(data):
    rows, columns = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12))
    height, width = data.draw(st.integers(1, rows)), data.draw(st.integers(1, columns))
    image = np.random.default_rng(data.draw(st.integers(0, 999))).integers(
        0, 256, (rows, columns), dtype=np.uint8
    )
    expected = exact_area_average(image, height, width)
    assert np.array_equal(area_resize(image, (height, width)), expected)


@pytest.mark.parametrize("size", [(84, 84), (52, 64), (120, 128), (239, 255), (1, 1)])
def test_area_resize_is_exact_at_full_size(size):
    image = np.random.default_rng(0).integers(0, 256, (240, 256), dtype=np.uint8)
    row_edges = np.arange(241) * size[0]
    column_edges = np.arange(257) * size[1]

    def weights(edges, source, target):  # int64 where the product uses float32
        limits = np.arange(target + 1) * source
        shared = np.minimum(edges[None, 1:], limits[1:, None]) - np.maximum(
            edges[None, :-1], limits[:-1, None]
        )
        return np.maximum(shared, 0)

    sums = weights(row_edges, 240, size[0]) @ image.astype(np.int64)
    sums = sums @ weights(column_edges, 256, size[1]).T
    expected = (2 * sums + 240 * 256) // (2 * 240 * 256)
    assert np.array_equal(area_resize(image, size), expected)


def test_grey_and_resize_differ_from_opencv_by_at_most_one():
    rgb = np.random.default_rng(1).integers(0, 256, (240, 256, 3), dtype=np.uint8)
    grey = luma(rgb)
    assert abs(grey.astype(int) - cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)).max() <= 1
    resized = cv2.resize(grey, (84, 84), interpolation=cv2.INTER_AREA)
    assert abs(area_resize(grey, (84, 84)).astype(int) - resized).max() <= 1


def test_luma_of_every_grey_is_itself():
    greys = np.arange(256, dtype=np.uint8)
    assert np.array_equal(luma(np.stack([greys] * 3, -1)), greys)


def test_crop_drops_the_score_bar():
    rgb = np.random.default_rng(2).integers(0, 256, (240, 256, 3), dtype=np.uint8)
    assert np.array_equal(render(rgb, Picture(crop_top=32)), rgb[32:])


def test_colours_are_resized_one_by_one():
    rgb = np.random.default_rng(3).integers(0, 256, (240, 256, 3), dtype=np.uint8)
    small = render(rgb, Picture((60, 64)))
    assert small.shape == (60, 64, 3)
    for channel in range(3):
        assert np.array_equal(small[..., channel], area_resize(rgb[..., channel], (60, 64)))


@pytest.mark.parametrize(
    "arguments", [{"size": (300, 84)}, {"size": (0, 84)}, {"crop_top": 240}, {"crop_top": -1}]
)
def test_impossible_pictures(arguments):
    with pytest.raises(OptionError):
        Picture(**arguments)
