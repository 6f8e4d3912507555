"""A picture computed pixel by pixel from what is in the PPU's memory: slow, obviously right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass
class Scene:
    """What a still picture is made of.

    ``vram``: two nametables of 1,024 bytes; ``scroll``: x and y in the space of four nametables
    (512 x 480); ``ctrl`` and ``mask``: the registers $2000 and $2001.
    """

    patterns: bytes
    vram: bytes
    palette: bytes
    oam: bytes
    scroll: tuple[int, int]
    ctrl: int
    mask: int
    vertical_mirroring: bool

    def pattern(self, tile: int, x: int, y: int) -> int:
        low, high = self.patterns[tile * 16 + y], self.patterns[tile * 16 + y + 8]
        return low >> 7 - x & 1 | (high >> 7 - x & 1) << 1

    def background(self, x: int, y: int) -> int:
        """Slot at a pixel of the screen, 0 if transparent."""
        if not self.mask & 0x08 or (x < 8 and not self.mask & 0x02):
            return 0
        world_x, world_y = (self.scroll[0] + x) % 512, (self.scroll[1] + y) % 480
        table_x, table_y = world_x // 256, world_y // 240
        table = self.vram[1024 * (table_x if self.vertical_mirroring else table_y) :][:1024]
        column, row = world_x % 256 // 8, world_y % 240 // 8
        tile = table[row * 32 + column] + (256 if self.ctrl & 0x10 else 0)
        pixel = self.pattern(tile, world_x % 8, world_y % 240 % 8)
        attribute = table[960 + row // 4 * 8 + column // 4]
        palette = attribute >> (row // 2 % 2 * 4 + column // 2 % 2 * 2) & 3
        return palette * 4 + pixel if pixel else 0

    def sprite_pixel(self, sprite: int, x: int, y: int) -> int:
        """Bits of a sprite at a pixel of the screen, 0 if transparent or elsewhere."""
        top, tile, attributes, left = self.oam[sprite * 4 : sprite * 4 + 4]
        height = 16 if self.ctrl & 0x20 else 8
        dx, dy = x - left, y - (top + 1)
        if not (0 <= dx < 8 and 0 <= dy < height):
            return 0
        dx = 7 - dx if attributes & 0x40 else dx
        dy = height - 1 - dy if attributes & 0x80 else dy
        if height == 16:
            tile = (tile & 1) * 256 + (tile & 0xFE) + dy // 8
        else:
            tile += 256 if self.ctrl & 0x08 else 0
        return self.pattern(tile, dx, dy % 8)

    def slot(self, x: int, y: int, on_line: list[int]) -> int:
        back = self.background(x, y)
        if not self.mask & 0x10 or (x < 8 and not self.mask & 0x04):
            return back
        for sprite in on_line:
            if pixel := self.sprite_pixel(sprite, x, y):
                attributes = self.oam[sprite * 4 + 2]
                if back and attributes & 0x20:
                    return back
                return 16 + attributes % 4 * 4 + pixel
        return back

    def sprites_on(self, y: int) -> list[int]:
        height = 16 if self.ctrl & 0x20 else 8
        return [i for i in range(64) if 0 <= y - (self.oam[i * 4] + 1) < height][:8]

    def slots(self) -> NDArray[np.uint8]:
        """Palette slots, ``(240, 256)``."""
        rows = [
            [self.slot(x, y, on_line) for x in range(256)]
            for y, on_line in ((y, self.sprites_on(y)) for y in range(240))
        ]
        return np.array(rows, np.uint8)

    def first_hit(self) -> tuple[int, int] | None:
        """``(y, x)`` of the first pixel where sprite 0 hits."""
        if self.mask & 0x18 != 0x18:
            return None
        clip = 0 if self.mask & 0x06 == 0x06 else 8
        for y in range(1, 240):
            for x in range(max(clip, self.oam[3]), min(255, self.oam[3] + 8)):
                if self.sprite_pixel(0, x, y) and self.background(x, y):
                    return y, x
        return None
