"""A 6502 that is obviously right and slow: what the native one is held against.

It knows work RAM and ROM only. Cycles as in the MOS manual.
"""

from __future__ import annotations

from collections.abc import Callable

from mario_envkit.testing.nrom import OPCODES, OPERAND_BYTES

N, V, ONE, B, D, I, Z, C = 0x80, 0x40, 0x20, 0x10, 0x08, 0x04, 0x02, 0x01  # noqa: E741

_BY_OPCODE = {opcode: key for key, opcode in OPCODES.items()}
_READ_CYCLES = {
    "imm": 2,
    "zp": 3,
    "zpx": 4,
    "zpy": 4,
    "abs": 4,
    "abx": 4,
    "aby": 4,
    "izx": 6,
    "izy": 5,
}
_WRITE_CYCLES = {"zp": 3, "zpx": 4, "zpy": 4, "abs": 4, "abx": 5, "aby": 5, "izx": 6, "izy": 6}
_MODIFY_CYCLES = {"acc": 2, "zp": 5, "zpx": 6, "abs": 6, "abx": 7}
_IMPLIED_CYCLES = {
    "BRK": 7,
    "PHA": 3,
    "PHP": 3,
    "PLA": 4,
    "PLP": 4,
    "RTI": 6,
    "RTS": 6,
}  # all others take 2
_BRANCHES = {
    "BPL": (N, 0),
    "BMI": (N, 1),
    "BVC": (V, 0),
    "BVS": (V, 1),
    "BCC": (C, 0),
    "BCS": (C, 1),
    "BNE": (Z, 0),
    "BEQ": (Z, 1),
}
_FLAG_OPS = {
    "CLC": (C, 0),
    "SEC": (C, 1),
    "CLI": (I, 0),
    "SEI": (I, 1),
    "CLV": (V, 0),
    "CLD": (D, 0),
    "SED": (D, 1),
}
_TRANSFERS = {"TAX": "ax", "TAY": "ay", "TXA": "xa", "TYA": "ya", "TSX": "sx", "TXS": "xs"}


class Cpu:
    """Registers ``a x y s p pc``, ``ram`` (2,048), ``cycles``."""

    def __init__(self, rom: bytes, *, origin: int = 0x8000) -> None:
        self.rom, self.origin = rom, origin
        self.ram = bytearray(0x800)
        self.a = self.x = self.y = 0
        self.s, self.p = 0xFD, ONE | I
        self.pc = self.read16(0xFFFC)
        self.cycles = 0

    def read(self, address: int) -> int:
        address &= 0xFFFF
        if address < 0x2000:
            return self.ram[address & 0x7FF]
        assert address >= 0x8000, f"the model has no I/O: {address:04x}"
        return self.rom[(address - 0x8000) % len(self.rom)]

    def write(self, address: int, value: int) -> None:
        address &= 0xFFFF
        if address < 0x2000:
            self.ram[address & 0x7FF] = value
        else:
            assert address >= 0x8000, f"the model has no I/O: {address:04x}"

    def read16(self, address: int) -> int:
        return self.read(address) | self.read(address + 1) << 8

    def push(self, value: int) -> None:
        self.ram[0x100 + self.s] = value & 0xFF
        self.s = (self.s - 1) & 0xFF

    def pull(self) -> int:
        self.s = (self.s + 1) & 0xFF
        return self.ram[0x100 + self.s]

    def flag(self, mask: int, on: object) -> None:
        self.p = self.p | mask if on else self.p & ~mask

    def nz(self, value: int) -> int:
        self.flag(N, value & 0x80)
        self.flag(Z, value == 0)
        return value

    def address(self, mode: str, operand: int) -> tuple[int, bool]:
        """Effective address, and whether the index crossed a page."""

        def pointer(at: int) -> int:
            return self.ram[at & 0xFF] | self.ram[(at + 1) & 0xFF] << 8

        index = {"x": self.x, "y": self.y}.get(mode[-1], 0)
        if mode in ("zp", "abs"):
            return operand, False
        if mode in ("zpx", "zpy"):
            return (operand + index) & 0xFF, False
        if mode == "izx":
            return pointer(operand + self.x), False
        base = pointer(operand) if mode == "izy" else operand
        return (base + index) & 0xFFFF, (base & 0xFF) + index > 0xFF

    def step(self) -> None:
        """One instruction."""
        name, mode = _BY_OPCODE[self.read(self.pc)]
        size = OPERAND_BYTES[mode]
        operand = sum(self.read(self.pc + 1 + i) << 8 * i for i in range(size))
        at = self.pc
        self.pc = (self.pc + 1 + size) & 0xFFFF
        if name in _BRANCHES:
            self.branch(name, operand)
        elif name in _FLAG_OPS:
            self.flag(*_FLAG_OPS[name])
            self.cycles += 2
        elif name in _TRANSFERS:
            self.transfer(_TRANSFERS[name])
            self.cycles += 2
        elif mode in ("imp", "ind") or name in ("JMP", "JSR"):
            self.control(name, mode, operand, at)
        elif name in ("STA", "STX", "STY"):
            self.write(self.address(mode, operand)[0], getattr(self, name[-1].lower()))
            self.cycles += _WRITE_CYCLES[mode]
        elif name in ("ASL", "LSR", "ROL", "ROR", "INC", "DEC"):
            self.modify(name, mode, operand)
        else:
            self.arithmetic(name, mode, operand)

    def branch(self, name: str, operand: int) -> None:
        mask, wanted = _BRANCHES[name]
        self.cycles += 2
        if bool(self.p & mask) == bool(wanted):
            target = (self.pc + operand - (256 if operand >= 128 else 0)) & 0xFFFF
            self.cycles += 1 + (target >> 8 != self.pc >> 8)
            self.pc = target

    def transfer(self, registers: str) -> None:
        value = getattr(self, registers[0])
        setattr(self, registers[1], value if registers == "xs" else self.nz(value))

    def arithmetic(self, name: str, mode: str, operand: int) -> None:
        if mode == "imm":
            value, crossed = operand, False
        else:
            address, crossed = self.address(mode, operand)
            value = self.read(address)
        self.cycles += _READ_CYCLES[mode] + crossed
        if name in ("LDA", "LDX", "LDY"):
            setattr(self, name[-1].lower(), self.nz(value))
        elif name in ("CMP", "CPX", "CPY"):
            register = self.a if name == "CMP" else getattr(self, name[-1].lower())
            self.flag(C, register >= value)
            self.nz((register - value) & 0xFF)
        elif name == "BIT":
            self.flag(Z, self.a & value == 0)
            self.p = self.p & ~(N | V) | value & (N | V)
        elif name in ("ADC", "SBC"):
            self.add(value if name == "ADC" else value ^ 0xFF)
        else:
            combine: dict[str, Callable[[int, int], int]] = {
                "AND": int.__and__,
                "ORA": int.__or__,
                "EOR": int.__xor__,
            }
            self.a = self.nz(combine[name](self.a, value))

    def add(self, value: int) -> None:
        total = self.a + value + (self.p & C)
        signed = (self.a ^ 0x80) - 0x80 + (value ^ 0x80) - 0x80 + (self.p & C)
        self.flag(V, not -128 <= signed <= 127)
        self.flag(C, total > 0xFF)
        self.a = self.nz(total & 0xFF)

    def modify(self, name: str, mode: str, operand: int) -> None:
        self.cycles += _MODIFY_CYCLES[mode]
        address = None if mode == "acc" else self.address(mode, operand)[0]
        value = self.a if address is None else self.read(address)
        carry = self.p & C
        if name in ("ASL", "ROL"):
            self.flag(C, value & 0x80)
            value = value << 1 | (carry if name == "ROL" else 0)
        elif name in ("LSR", "ROR"):
            self.flag(C, value & 1)
            value = value >> 1 | (carry << 7 if name == "ROR" else 0)
        else:
            value += 1 if name == "INC" else -1
        value = self.nz(value & 0xFF)
        if address is None:
            self.a = value
        else:
            self.write(address, value)

    def control(self, name: str, mode: str, operand: int, at: int) -> None:
        if name in ("INX", "INY", "DEX", "DEY"):
            register = name[-1].lower()
            change = 1 if name[0] == "I" else -1
            setattr(self, register, self.nz((getattr(self, register) + change) & 0xFF))
        elif name == "PHA":
            self.push(self.a)
        elif name == "PHP":
            self.push(self.p | B | ONE)
        elif name == "PLA":
            self.a = self.nz(self.pull())
        elif name == "PLP":
            self.p = self.pull() & ~B | ONE
        elif name == "JMP" and mode == "abs":
            self.pc = operand
        elif name == "JMP":
            page = operand & 0xFF00  # the 6502 does not carry into the upper byte
            self.pc = self.read(operand) | self.read(page | (operand + 1) & 0xFF) << 8
        elif name == "JSR":
            self.push((at + 2) >> 8)
            self.push(at + 2)
            self.pc = operand
        elif name == "RTS":
            self.pc = (self.pull() | self.pull() << 8) + 1 & 0xFFFF
        elif name == "RTI":
            self.p = self.pull() & ~B | ONE
            self.pc = self.pull() | self.pull() << 8
        elif name == "BRK":
            self.push((at + 2) >> 8)
            self.push(at + 2)
            self.push(self.p | B | ONE)
            self.flag(I, 1)
            self.pc = self.read16(0xFFFE)
        if name in ("JMP", "JSR"):
            self.cycles += {"JSR": 6}.get(name, 3 if mode == "abs" else 5)
        else:
            self.cycles += _IMPLIED_CYCLES.get(name, 2)
