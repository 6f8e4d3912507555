"""Cartridges that show one still picture."""

from __future__ import annotations

import random

from mario_envkit.testing.nrom import Assembler, nrom_image
from tests.native.ppu_model import Scene


def random_scene(seed: int) -> Scene:
    rng = random.Random(seed)
    patterns = bytearray(rng.randbytes(0x2000))
    for tile in rng.sample(range(512), 200):  # some see-through tiles
        patterns[tile * 16 : tile * 16 + 16] = bytes(16)
    oam = bytearray()
    rows = [rng.randrange(8, 220) for _ in range(6)]  # crowded lines: more than eight sprites
    for _ in range(64):
        y = rng.choice(rows) + rng.randrange(5) if rng.random() < 0.7 else rng.randrange(8, 220)
        oam += bytes([y, rng.randrange(256), rng.randrange(256), rng.randrange(256)])
    return Scene(
        patterns=bytes(patterns),
        vram=rng.randbytes(2048),
        palette=bytes(rng.randrange(64) for _ in range(32)),
        oam=bytes(oam),
        scroll=(rng.randrange(512), rng.randrange(480)),
        ctrl=rng.choice([0x00, 0x08, 0x10, 0x18, 0x20, 0x30]),
        mask=rng.choice([0x1E, 0x1E, 0x1E, 0x18, 0x1A, 0x1C, 0x0A, 0x14, 0x00]),
        vertical_mirroring=rng.random() < 0.5,
    )


def show(scene: Scene, *, wait: bytes | None = None) -> bytes:
    """An image that shows ``scene``.

    With ``wait`` (machine code that ends in a relative branch to its own start) it then waits for
    sprite 0 to be clear and to hit in every frame, and counts: $10 frames, $11 iterations after.
    """
    asm = Assembler()
    asm.label("reset")
    asm.store(0x2000, 0)
    asm.store(0x2001, 0)
    for number in range(2):
        asm.label(f"boot{number}")
        asm.op("BIT", "abs", 0x2002)
        asm.op("BPL", "rel", f"boot{number}")
    _copy_palette(asm)
    _copy_nametables(asm, scene.vertical_mirroring)
    asm.store(0x2003, 0)
    asm.op("LDX", "imm", 0)
    asm.label("sprites")
    asm.op("LDA", "abx", "oam")
    asm.op("STA", "abx", 0x0200)
    asm.op("INX")
    asm.op("BNE", "rel", "sprites")
    asm.label("blank")
    asm.op("BIT", "abs", 0x2002)
    asm.op("BPL", "rel", "blank")
    asm.store(0x4014, 2)
    _set_registers(asm, scene)
    if wait is None:
        asm.label("stop")
        asm.op("JMP", "abs", "stop")
    else:
        _count_hits(asm, wait)
    asm.label("palette")
    asm.data(scene.palette)
    asm.label("oam")
    asm.data(scene.oam)
    asm.label("vram")
    asm.data(scene.vram)
    return nrom_image(asm, scene.patterns, vertical_mirroring=scene.vertical_mirroring)


def _copy_palette(asm: Assembler) -> None:
    asm.store(0x2006, 0x3F)
    asm.store(0x2006, 0x00)
    asm.op("LDX", "imm", 0)
    asm.label("colours")
    asm.op("LDA", "abx", "palette")
    asm.op("STA", "abs", 0x2007)
    asm.op("INX")
    asm.op("CPX", "imm", 32)
    asm.op("BNE", "rel", "colours")


def _copy_nametables(asm: Assembler, vertical: bool) -> None:
    asm.op("LDA", "imm", "<vram")
    asm.op("STA", "zp", 0)
    asm.op("LDA", "imm", ">vram")
    asm.op("STA", "zp", 1)
    for table in range(2):
        asm.store(0x2006, 0x20 + table * (4 if vertical else 8))
        asm.store(0x2006, 0x00)
        asm.op("LDX", "imm", 4)
        asm.op("LDY", "imm", 0)
        asm.label(f"names{table}")
        asm.op("LDA", "izy", 0)
        asm.op("STA", "abs", 0x2007)
        asm.op("INY")
        asm.op("BNE", "rel", f"names{table}")
        asm.op("INC", "zp", 1)
        asm.op("DEX")
        asm.op("BNE", "rel", f"names{table}")


def _set_registers(asm: Assembler, scene: Scene) -> None:
    x, y = scene.scroll
    asm.op("BIT", "abs", 0x2002)
    asm.store(0x2005, x % 256)
    asm.store(0x2005, y % 240)
    asm.store(0x2000, scene.ctrl | x // 256 | y // 240 << 1)
    asm.store(0x2001, scene.mask)


def _count_hits(asm: Assembler, wait: bytes) -> None:
    asm.label("frame")
    for branch in (0xD0, 0xF0):  # BNE while it is set, BEQ while it is clear
        asm.data([*wait[:-2], branch, wait[-1]])
    asm.op("INC", "zp", 0x10)
    asm.op("LDX", "imm", 30)
    asm.label("delay")
    asm.op("INC", "zp", 0x11)
    asm.op("DEX")
    asm.op("BNE", "rel", "delay")
    asm.op("JMP", "abs", "frame")
