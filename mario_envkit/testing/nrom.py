"""A small 6502 assembler and the cartridge images it makes: for tests, nobody's game needed."""

from __future__ import annotations

from collections.abc import Sequence

_MODES = ("imm", "zp", "zpx", "zpy", "abs", "abx", "aby", "izx", "izy", "imp", "acc", "rel", "ind")
OPERAND_BYTES = dict(zip(_MODES, (1, 1, 1, 1, 2, 2, 2, 1, 1, 0, 0, 1, 2), strict=True))

# Opcodes by mnemonic: "mode=opcode" pairs, from the MOS 6502 programming manual.
_TABLE = """
ADC imm=69 zp=65 zpx=75 abs=6d abx=7d aby=79 izx=61 izy=71
AND imm=29 zp=25 zpx=35 abs=2d abx=3d aby=39 izx=21 izy=31
ASL acc=0a zp=06 zpx=16 abs=0e abx=1e
BCC rel=90
BCS rel=b0
BEQ rel=f0
BIT zp=24 abs=2c
BMI rel=30
BNE rel=d0
BPL rel=10
BRK imp=00
BVC rel=50
BVS rel=70
CLC imp=18
CLD imp=d8
CLI imp=58
CLV imp=b8
CMP imm=c9 zp=c5 zpx=d5 abs=cd abx=dd aby=d9 izx=c1 izy=d1
CPX imm=e0 zp=e4 abs=ec
CPY imm=c0 zp=c4 abs=cc
DEC zp=c6 zpx=d6 abs=ce abx=de
DEX imp=ca
DEY imp=88
EOR imm=49 zp=45 zpx=55 abs=4d abx=5d aby=59 izx=41 izy=51
INC zp=e6 zpx=f6 abs=ee abx=fe
INX imp=e8
INY imp=c8
JMP abs=4c ind=6c
JSR abs=20
LDA imm=a9 zp=a5 zpx=b5 abs=ad abx=bd aby=b9 izx=a1 izy=b1
LDX imm=a2 zp=a6 zpy=b6 abs=ae aby=be
LDY imm=a0 zp=a4 zpx=b4 abs=ac abx=bc
LSR acc=4a zp=46 zpx=56 abs=4e abx=5e
NOP imp=ea
ORA imm=09 zp=05 zpx=15 abs=0d abx=1d aby=19 izx=01 izy=11
PHA imp=48
PHP imp=08
PLA imp=68
PLP imp=28
ROL acc=2a zp=26 zpx=36 abs=2e abx=3e
ROR acc=6a zp=66 zpx=76 abs=6e abx=7e
RTI imp=40
RTS imp=60
SBC imm=e9 zp=e5 zpx=f5 abs=ed abx=fd aby=f9 izx=e1 izy=f1
SEC imp=38
SED imp=f8
SEI imp=78
STA zp=85 zpx=95 abs=8d abx=9d aby=99 izx=81 izy=91
STX zp=86 zpy=96 abs=8e
STY zp=84 zpx=94 abs=8c
TAX imp=aa
TAY imp=a8
TSX imp=ba
TXA imp=8a
TXS imp=9a
TYA imp=98
"""


def _parse_table() -> dict[tuple[str, str], int]:
    opcodes = {}
    for line in _TABLE.split("\n"):
        name, *pairs = line.split() or [""]
        for pair in pairs:
            mode, _, opcode = pair.partition("=")
            opcodes[name, mode] = int(opcode, 16)
    return opcodes


OPCODES: dict[tuple[str, str], int] = _parse_table()
"""Opcode of each ``(mnemonic, mode)``: the 151 official instructions."""


class Assembler:
    """Machine code, an instruction at a time.

    Operands are numbers or names of labels, which may be defined later; a ``rel`` operand is the
    target of the branch. Of a label, ``"<name"`` is the low byte and ``">name"`` the high one.
    """

    def __init__(self, origin: int = 0x8000) -> None:
        self.origin = origin
        self.code = bytearray()
        self.labels: dict[str, int] = {}
        self._fixups: list[tuple[int, str, str]] = []

    @property
    def here(self) -> int:
        """Address of the next byte."""
        return self.origin + len(self.code)

    def label(self, name: str) -> None:
        """Give the next byte a name."""
        self.labels[name] = self.here

    def op(self, name: str, mode: str = "imp", operand: int | str = 0) -> None:
        """Add an instruction."""
        self.code.append(OPCODES[name, mode])
        size = OPERAND_BYTES[mode]
        if isinstance(operand, str):
            self._fixups.append((len(self.code), mode, operand))
            operand = 0
        elif mode == "rel":
            operand = (operand - self.here - 1) & 0xFF
        self.code += operand.to_bytes(size, "little")

    def data(self, values: Sequence[int]) -> None:
        """Add bytes."""
        self.code += bytes(values)

    def store(self, address: int, value: int) -> None:
        """LDA #value, STA address."""
        self.op("LDA", "imm", value)
        self.op("STA", "abs", address)

    def finish(self) -> bytes:
        """The code, with labels filled in."""
        for at, mode, name in self._fixups:
            target = self.labels[name.lstrip("<>")]
            if name[0] in "<>":
                self.code[at] = target >> 8 if name[0] == ">" else target & 0xFF
            elif mode == "rel":
                offset = target - (self.origin + at + 1)
                if not -128 <= offset <= 127:
                    raise ValueError(f"The branch to {name!r} is too far: {offset} bytes.")
                self.code[at] = offset & 0xFF
            else:
                self.code[at : at + 2] = target.to_bytes(2, "little")
        self._fixups.clear()
        return bytes(self.code)


def nrom_image(
    program: Assembler,
    patterns: bytes = bytes(0x2000),
    *,
    vertical_mirroring: bool = True,
) -> bytes:
    """An iNES image: ``program`` with its vectors, and 8 kB of ``patterns``.

    The size is 16 kB for code at 0xC000, 32 kB for code at 0x8000. The labels ``reset``, ``nmi``
    and ``irq`` become the vectors; missing ones point to the origin.
    """
    code = program.finish()
    size = 0x10000 - program.origin
    if len(code) > size - 6 or len(patterns) != 0x2000:
        raise ValueError(f"{len(code)} bytes of code do not fit {size - 6}.")
    vectors = b"".join(
        program.labels.get(name, program.origin).to_bytes(2, "little")
        for name in ("nmi", "reset", "irq")
    )
    header = b"NES\x1a" + bytes([size // 0x4000, 1, int(vertical_mirroring)]) + bytes(9)
    return header + code.ljust(size - 6, b"\xea") + vectors + patterns
