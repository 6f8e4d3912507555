from __future__ import annotations

import pytest

from mario_envkit.emulator.native import NativeEmulator
from mario_envkit.testing.nrom import OPCODES, Assembler, nrom_image
from tests.native.cpu_model import Cpu
from tests.native.machines import registers
from tests.native.programs import random_program

FRAME = 262 * 341
POWER_ON = 20 * 341 + 3  # dot of the first instruction


def test_table_has_all_official_opcodes() -> None:
    assert len(OPCODES) == len(set(OPCODES.values())) == 151


@pytest.mark.parametrize("seed", range(12))
def test_random_program_as_the_model(seed: int) -> None:
    image = nrom_image(random_program(seed))
    emulator = NativeEmulator(image)
    model = Cpu(image[16 : 16 + 0x8000])
    for frame in range(1, 9):
        emulator.step(0, render=False)
        state = registers(emulator)
        # Nothing is displayed, so that every frame has the same length.
        dots = frame * FRAME + state.now - POWER_ON
        assert dots % 3 == 0
        while model.cycles * 3 < dots:
            model.step()
        assert model.cycles * 3 == dots, "the timing differs"
        assert bytes(emulator.ram) == bytes(model.ram)
        assert (state.pc, state.a, state.x, state.y, state.s, state.p) == (
            model.pc,
            model.a,
            model.x,
            model.y,
            model.s,
            model.p,
        )


def test_16k_program_is_mirrored() -> None:
    asm = Assembler(0xC000)
    asm.label("reset")
    asm.op("LDA", "abs", 0x8000 + 11)  # the mirror of what follows
    asm.op("STA", "zp", 7)
    asm.label("stop")
    asm.op("JMP", "abs", "stop")
    asm.data([0, 0, 0, 0xA5])
    emulator = NativeEmulator(nrom_image(asm))
    emulator.step(0)
    assert emulator.ram[7] == 0xA5


def test_code_runs_from_ram() -> None:
    """SMB never does, but a poke can send it there."""
    asm = Assembler()
    asm.label("reset")
    code = [0xE6, 0x10, 0xA9, 0x42, 0x85, 0x11, 0x4C, 0x00, 0x90]  # INC $10, LDA, STA, JMP $9000
    for i, byte in enumerate(code):
        asm.store(0x0200 + i, byte)
    asm.op("JMP", "abs", 0x0200)
    asm.data([0xEA] * (0x9000 - asm.here))
    asm.op("INC", "zp", 0x12)
    asm.op("JMP", "abs", 0x9002)
    emulator = NativeEmulator(nrom_image(asm))
    emulator.step(0)
    assert list(emulator.ram[0x10:0x13]) == [1, 0x42, 1]


@pytest.mark.parametrize("opcode", sorted(set(range(256)) - set(OPCODES.values())))
@pytest.mark.parametrize("timing", ["console", "nes-py"])
def test_unofficial_opcodes_do_no_harm(opcode: int, timing: str) -> None:
    asm = Assembler()
    asm.label("reset")
    asm.op("LDX", "imm", 0x33)
    asm.data([opcode, 0xEA, 0xEA, 0xEA])
    asm.op("INC", "zp", 0x55)
    asm.label("stop")
    asm.op("JMP", "abs", "stop")
    emulator = NativeEmulator(nrom_image(asm), timing=timing)  # type: ignore[arg-type]
    emulator.step(0, 3)
    halts = opcode & 0x1F in (0x02, 0x12) and opcode not in (0x82, 0xC2, 0xE2)
    assert emulator.ram[0x55] == (0 if halts else 1)
