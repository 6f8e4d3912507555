"""Pictures in a text terminal: two pixels per character cell, in 24-bit colour."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from mario_envkit.emulator.picture import area_resize

UPPER_HALF = "▀"
MAX_FPS = 20.0


def half_blocks(picture: NDArray[np.uint8]) -> str:
    """ANSI text for an RGB picture ``(H, W, 3)`` with an even number of rows.

    A cell is an upper half block: its foreground is the upper pixel, its background the lower.
    Colours are written only where they change.
    """
    lines = []
    for upper, lower in zip(picture[0::2].tolist(), picture[1::2].tolist(), strict=True):
        parts = []
        colours = None
        for top, bottom in zip(upper, lower, strict=True):
            if (top, bottom) != colours:
                colours = (top, bottom)
                parts.append(
                    f"\x1b[38;2;{top[0]};{top[1]};{top[2]};48;2;{bottom[0]};{bottom[1]};{bottom[2]}m"
                )
            parts.append(UPPER_HALF)
        lines.append("".join(parts) + "\x1b[0m")
    return "\n".join(lines)


class TerminalScreen:
    """Draws frames over one another at the speed of the game, dropping those it has no time for."""

    def __init__(self, console: Console, fps: float) -> None:
        """``fps`` is the rate at which :meth:`show` is going to be called."""
        self._console = console
        self._frame_time = 1.0 / fps
        self._due = time.monotonic()
        self._drawn = 0.0

    def show(self, picture: NDArray[np.uint8]) -> None:
        """Draw a picture ``(H, W, 3)``, then wait until its time is over."""
        now = time.monotonic()
        if now - self._drawn >= 1.0 / MAX_FPS:
            self._drawn = now
            self._draw(picture)
        self._due = max(self._due + self._frame_time, time.monotonic() - 0.25)
        time.sleep(max(0.0, self._due - time.monotonic()))

    def _draw(self, picture: NDArray[np.uint8]) -> None:
        size = self._console.size
        # Cells are about twice as high as wide, so half a cell is about square.
        scale = min(size.width / picture.shape[1], 2 * (size.height - 1) / picture.shape[0], 1.0)
        height = max(2, int(picture.shape[0] * scale) // 2 * 2)
        text = half_blocks(area_resize(picture, (height, max(1, int(picture.shape[1] * scale)))))
        self._console.file.write("\x1b[H" + text)
        self._console.file.flush()
