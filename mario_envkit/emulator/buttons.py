"""The joypad."""

from __future__ import annotations

from enum import IntFlag


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
