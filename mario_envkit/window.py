"""A window with the game in it, and a keyboard for a joypad."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mario_envkit.emulator.buttons import Buttons
from mario_envkit.errors import DisplayUnavailable

KEYS = {
    "right": Buttons.RIGHT,
    "left": Buttons.LEFT,
    "up": Buttons.UP,
    "down": Buttons.DOWN,
    "x": Buttons.A,
    "z": Buttons.B,
    "return": Buttons.START,
    "right shift": Buttons.SELECT,
}
"""pygame key names; A jumps, B runs."""


class Window:
    """A pygame window that shows pictures at the speed of the game.

    Args:
        title: of the window.
        fps: pictures a second; showing waits for the next one's turn.
        scale: screen pixels a game pixel.

    Raises:
        DisplayUnavailable: if pygame is not installed or there is no display.
    """

    def __init__(self, title: str, fps: float = 60, scale: int = 3) -> None:
        if sys.platform.startswith("linux") and not (
            os.environ.get("DISPLAY")
            or os.environ.get("WAYLAND_DISPLAY")
            or os.environ.get("SDL_VIDEODRIVER")
        ):
            raise DisplayUnavailable(
                "A window was asked for and there is no display here (neither DISPLAY nor "
                "WAYLAND_DISPLAY is set); use render_mode='rgb_array' or record a video."
            )
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        try:
            import pygame
        except ImportError as error:
            raise DisplayUnavailable(
                "Windows are drawn with pygame, which is not installed; "
                "pip install 'mario-envkit[play]'."
            ) from error
        self._pygame: Any = pygame
        self._scale, self._fps = scale, fps
        self._surface: Any = None
        self._title = title
        try:
            pygame.display.init()
        except pygame.error as error:
            raise DisplayUnavailable(
                f"The display cannot be opened ({error}); use render_mode='rgb_array' or record a "
                "video."
            ) from error
        self._clock = pygame.time.Clock()

    def show(self, rgb: NDArray[np.uint8]) -> bool:
        """Show a picture ``(H, W, 3)`` uint8; returns False once the user has closed the window."""
        pygame = self._pygame
        height, width, _ = rgb.shape
        if self._surface is None:
            self._surface = pygame.display.set_mode((width * self._scale, height * self._scale))
            pygame.display.set_caption(self._title)
        picture = pygame.image.frombuffer(np.ascontiguousarray(rgb).data, (width, height), "RGB")
        self._surface.blit(pygame.transform.scale(picture, self._surface.get_size()), (0, 0))
        pygame.display.flip()
        self._clock.tick(self._fps)
        return not any(
            event.type == pygame.QUIT
            or (event.type == pygame.KEYDOWN and event.key == pygame.K_ESCAPE)
            for event in pygame.event.get()
        )

    def joypad(self) -> int:
        """The joypad byte of the keys that are held down (:data:`KEYS`)."""
        pressed = self._pygame.key.get_pressed()
        byte = Buttons.NOOP
        for name, button in KEYS.items():
            if pressed[self._pygame.key.key_code(name)]:
                byte |= button
        return int(byte)

    def close(self) -> None:
        """Close the window."""
        self._pygame.display.quit()
