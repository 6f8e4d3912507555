"""A window with the game in it, and a keyboard for a joypad."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mario_envkit.emulator.buttons import Buttons
from mario_envkit.errors import DisplayUnavailable

KEYS = {
    "K_RIGHT": Buttons.RIGHT,
    "K_LEFT": Buttons.LEFT,
    "K_UP": Buttons.UP,
    "K_DOWN": Buttons.DOWN,
    "K_x": Buttons.A,
    "K_z": Buttons.B,
    "K_RETURN": Buttons.START,
    "K_RSHIFT": Buttons.SELECT,
}
"""Names of pygame's keys; A jumps, B runs."""


def import_pygame() -> Any:
    """The module pygame.

    Raises:
        DisplayUnavailable: if it is not installed.
    """
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    try:
        import pygame
    except ImportError as error:
        raise DisplayUnavailable(
            "Windows are drawn with pygame, which is not installed; "
            "pip install 'mario-envkit[play]'."
        ) from error
    return pygame


def keys_to_action(joypad: Sequence[int]) -> dict[tuple[int, ...], int]:
    """For ``gymnasium.utils.play``: the keys of every action, sorted codes of pygame.

    Args:
        joypad: the joypad byte of each action; of actions with the same byte the first is taken.

    Raises:
        DisplayUnavailable: if pygame is not installed.
    """
    pygame = import_pygame()
    keys: dict[tuple[int, ...], int] = {}
    for action, byte in enumerate(joypad):
        held = (getattr(pygame, name) for name, button in KEYS.items() if byte & button)
        keys.setdefault(tuple(sorted(held)), action)
    return keys


class _Display:
    """The one window that pygame has, in which open :class:`Window` s lie side by side."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.windows: list[Window] = []

    def arrange(self, pygame: Any) -> None:
        """Make the window as large as the pictures that are to be in it, if it is not."""
        width = sum(window.size[0] for window in self.windows)
        height = max(window.size[1] for window in self.windows)
        surface = pygame.display.get_surface()  # another library may have made it anew
        if width and (surface is None or surface.get_size() != (width, height)):
            pygame.display.set_mode((width, height))
            pygame.display.set_caption(" | ".join(window.title for window in self.windows))

    def left_of(self, window: Window) -> int:
        """Where in it a window's picture begins."""
        return sum(other.size[0] for other in self.windows[: self.windows.index(window)])

    def close_if_asked(self, pygame: Any) -> None:
        """Tell all windows if the user has closed the one on the screen."""
        for event in pygame.event.get():
            escape = event.type == pygame.KEYDOWN and event.key == pygame.K_ESCAPE
            if event.type == pygame.QUIT or escape:
                for window in self.windows:
                    window.left = True


_DISPLAY = _Display()


def _has_display() -> bool:
    names = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")
    return not sys.platform.startswith("linux") or any(os.environ.get(name) for name in names)


def can_open_windows() -> bool:
    """Whether there is a display, as far as one can see without opening a window, and pygame."""
    return _has_display() and find_spec("pygame") is not None


class Window:
    """A pygame window that shows pictures at the speed of the game.

    pygame has one window on the screen: of several that are open the pictures lie side by side in
    it, and who closes that one closes all.

    Args:
        title: of the window.
        fps: pictures a second; showing waits for the next one's turn.
        scale: screen pixels a game pixel.

    Raises:
        DisplayUnavailable: if pygame is not installed or there is no display.
    """

    def __init__(self, title: str, fps: float = 60, scale: int = 3) -> None:
        if not _has_display():
            raise DisplayUnavailable(
                "A window was asked for and there is no display here (neither DISPLAY nor "
                "WAYLAND_DISPLAY is set); render_mode='rgb_array', and 'mario-envkit play --replay "
                "RUN --video FILE', need none."
            )
        pygame = self._pygame = import_pygame()
        self._scale, self._fps = scale, fps
        self.title = title
        self.size = 0, 0
        self.left = False  # whether the user has closed it
        try:
            pygame.display.init()
        except pygame.error as error:
            raise DisplayUnavailable(
                f"The display cannot be opened ({error}); render_mode='rgb_array', and "
                "'mario-envkit play --replay RUN --video FILE', need none."
            ) from error
        self._clock = pygame.time.Clock()
        with _DISPLAY.lock:
            _DISPLAY.windows.append(self)

    def show(self, rgb: NDArray[np.uint8]) -> bool:
        """Show a picture ``(H, W, 3)`` uint8; returns False once the user has closed the window."""
        pygame = self._pygame
        height, width, _ = rgb.shape
        picture = pygame.image.frombuffer(np.ascontiguousarray(rgb).data, (width, height), "RGB")
        size = width * self._scale, height * self._scale
        with _DISPLAY.lock:
            if not pygame.display.get_init():  # another library has closed it
                pygame.display.init()
            self.size = size
            _DISPLAY.arrange(pygame)
            place = _DISPLAY.left_of(self), 0
            pygame.display.get_surface().blit(pygame.transform.scale(picture, size), place)
            pygame.display.flip()
            _DISPLAY.close_if_asked(pygame)
        self._clock.tick(self._fps)
        return not self.left

    def joypad(self) -> int:
        """The joypad byte of the keys that are held down (:data:`KEYS`)."""
        pressed = self._pygame.key.get_pressed()
        byte = Buttons.NOOP
        for name, button in KEYS.items():
            if pressed[getattr(self._pygame, name)]:
                byte |= button
        return int(byte)

    def close(self) -> None:
        """Close the window; others stay open. Twice is harmless."""
        with _DISPLAY.lock:
            if self not in _DISPLAY.windows:
                return
            _DISPLAY.windows.remove(self)
            if not _DISPLAY.windows:
                self._pygame.display.quit()
            elif self._pygame.display.get_surface() is not None:
                _DISPLAY.arrange(self._pygame)
