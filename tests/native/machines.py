"""Looking into a native machine through its snapshots."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from mario_envkit.emulator.native import NativeEmulator

STATE_SIZE = 4436
_ARRAYS = 2048 + 2048 + 256 + 32
_SCALARS = struct.Struct("<iiiHHHBBBBB")  # now, PPU position, frame end, pc, v, t, a x y s p


@dataclass
class Registers:
    """``now``: dots since the vertical-blank flag was set, at the next instruction."""

    now: int
    pc: int
    a: int
    x: int
    y: int
    s: int
    p: int


def registers(emulator: NativeEmulator) -> Registers:
    """CPU registers at the end of the last frame."""
    data = emulator.save().data
    now, _, _, pc, _, _, a, x, y, s, p = _SCALARS.unpack_from(data, 1 + STATE_SIZE + _ARRAYS)
    return Registers(now, pc, a, x, y, s, p)
