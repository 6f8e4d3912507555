"""The joypad."""

from __future__ import annotations

from enum import IntFlag
from typing import Any

from mario_envkit.arguments import shown, whole_number
from mario_envkit.errors import OptionError


class Buttons(IntFlag):
    """Bits of a joypad byte, in the order in which the NES shifts them out (bit 0 first)."""

    NOOP = 0x00
    A = 0x01
    B = 0x02
    SELECT = 0x04
    START = 0x08
    UP = 0x10
    DOWN = 0x20
    LEFT = 0x40
    RIGHT = 0x80


def check_hold(buttons: Any, frames: Any) -> tuple[int, int]:
    """A joypad byte, and for how many frames it is held, as ints.

    Raises:
        OptionError: if these are not integers, 0 to 255, and 1 or more.
    """
    byte, count = whole_number(buttons), whole_number(frames)
    if byte is None or count is None or not 0 <= byte <= 255 or not 1 <= count < 2**31:
        raise OptionError(
            f"Cannot hold buttons={shown(buttons)} for frames={shown(frames)}: give a joypad byte "
            "(0 to 255) and one frame or more."
        )
    return byte, count
