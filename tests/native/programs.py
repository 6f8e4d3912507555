"""Random programs that use every official instruction, on work RAM only."""

from __future__ import annotations

import random

from mario_envkit.testing.nrom import OPCODES, Assembler

_SPECIAL = {"JSR", "RTS", "RTI", "BRK", "JMP"}
_WRITES = {"STA", "STX", "STY", "INC", "DEC", "ASL", "LSR", "ROL", "ROR"}


def random_program(seed: int, *, instructions: int = 1500) -> Assembler:
    """A loop of random instructions; every official opcode at least once."""
    rng = random.Random(seed)
    asm = Assembler()
    asm.label("reset")
    keys = list(OPCODES) + rng.choices(list(OPCODES), k=instructions)
    rng.shuffle(keys)
    for number, (name, mode) in enumerate(keys):
        if mode == "rel":
            _branch(asm, rng, name, number)
        elif name in _SPECIAL:
            _control(asm, rng, name, mode, number)
        else:
            _plain(asm, rng, name, mode)
    asm.op("JMP", "abs", "reset")
    asm.label("irq")
    asm.op("INC", "abs", 0x0345)
    asm.op("RTI")
    asm.label("subroutine")
    asm.op("EOR", "imm", 0x5A)
    asm.op("RTS")
    return asm


def _plain(asm: Assembler, rng: random.Random, name: str, mode: str) -> None:
    if mode in ("izx", "izy"):
        # The pointer must not lead to a register of the console.
        at, x = rng.randrange(256), rng.randrange(256)
        page = rng.randrange(0x1F) if name in _WRITES or rng.random() < 0.5 else 0x80
        page = page if page == 0x80 else page % 0x1F
        asm.op("LDA", "imm", rng.randrange(256))
        asm.op("STA", "zp", at)
        asm.op("LDA", "imm", page)
        asm.op("STA", "zp", (at + 1) & 0xFF)
        asm.op("LDX", "imm", x)
        asm.op(name, mode, (at - x) & 0xFF if mode == "izx" else at)
    elif mode in ("abs", "abx", "aby"):
        asm.op(name, mode, rng.randrange(0x1F00))
    elif mode in ("imp", "acc"):
        asm.op(name, mode)
    else:
        asm.op(name, mode, rng.randrange(256))


def _branch(asm: Assembler, rng: random.Random, name: str, number: int) -> None:
    if rng.random() < 0.5:  # forwards, over an instruction
        asm.op(name, "rel", f"skip{number}")
        asm.op("INC", "zp", rng.randrange(256))
        asm.label(f"skip{number}")
        return
    asm.op("JMP", "abs", f"test{number}")
    asm.label(f"back{number}")
    asm.op("DEC", "zp", rng.randrange(256))
    asm.op("JMP", "abs", f"end{number}")
    asm.label(f"test{number}")
    asm.op(name, "rel", f"back{number}")
    asm.label(f"end{number}")


def _control(asm: Assembler, rng: random.Random, name: str, mode: str, number: int) -> None:
    if name == "BRK":
        asm.op("BRK")
        asm.op("NOP")  # BRK returns to the second byte after it
    elif name == "JSR":
        asm.op("JSR", "abs", "subroutine")
    elif name == "JMP" and mode == "abs":
        asm.op("JMP", "abs", f"jump{number}")
        asm.label(f"jump{number}")
    elif name == "JMP":
        # At the end of a page the upper byte comes from the start of the same page.
        at = rng.choice([0x02FF, 0x0310])
        high = (at & 0xFF00) | (at + 1) & 0xFF
        target = asm.here + 13
        asm.store(at, target & 0xFF)
        asm.store(high, target >> 8)
        asm.op("JMP", "ind", at)
    else:  # RTS, RTI: push where to go
        extra = 3 if name == "RTI" else 0
        target = asm.here + 7 + extra
        pushed = target - (name == "RTS")
        asm.op("LDA", "imm", pushed >> 8)
        asm.op("PHA")
        asm.op("LDA", "imm", pushed & 0xFF)
        asm.op("PHA")
        if name == "RTI":
            asm.op("LDA", "imm", rng.randrange(256))
            asm.op("PHA")
        asm.op(name)
        assert asm.here == target
