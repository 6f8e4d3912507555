"""iNES cartridge images: what of a file is program and graphics, and what its header says.

Dumps of one cartridge differ outside of these: headers of another format (NES 2.0), headers with a
tool's name in them ("DiskDude!"), 512 bytes of a trainer before the program, bytes after the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

HEADER_SIZE = 16
TRAINER_SIZE = 512
PROGRAM_BANK = 0x4000
GRAPHICS_BANK = 0x2000

MAPPERS = {
    0: "NROM", 1: "MMC1", 2: "UNROM", 3: "CNROM", 4: "MMC3", 5: "MMC5", 7: "AxROM", 9: "MMC2",
    10: "MMC4", 11: "Color Dreams", 13: "CPROM", 16: "Bandai FCG", 19: "Namco 163", 21: "VRC4",
    22: "VRC2", 23: "VRC2", 24: "VRC6", 25: "VRC4", 26: "VRC6", 34: "BNROM", 40: "SMB2J bootleg",
    66: "GxROM", 69: "FME-7", 71: "Camerica", 79: "NINA-03", 85: "VRC7", 206: "DxROM",
}  # fmt: skip
"""Common names of what carries a cartridge's memory, by number."""

_VERTICAL, _BATTERY, _TRAINER, _FOUR_SCREEN = 0x01, 0x02, 0x04, 0x08


@dataclass(frozen=True, slots=True)
class Header:
    """What the 16 bytes of a header say.

    Attributes:
        mapper: its number, see :data:`MAPPERS`.
        program, graphics: bytes of each.
        trainer: whether 512 bytes come before the program.
        wiring: the bits that a clean header keeps: mirroring, battery, four screens.
    """

    mapper: int
    program: int
    graphics: int
    trainer: bool
    wiring: int

    @classmethod
    def read(cls, header: bytes) -> Header:
        """The header in the first 16 bytes of a file."""
        modern = header[7] & 0x0C == 0x08  # NES 2.0
        mapper, program, graphics = header[6] >> 4, header[4], header[5]
        if modern:
            mapper |= header[7] & 0xF0 | (header[8] & 0x0F) << 8
            program |= (header[9] & 0x0F) << 8
            graphics |= (header[9] & 0xF0) << 4
        elif not any(header[12:16]):  # else a tool wrote its name over bytes 7 to 15
            mapper |= header[7] & 0xF0
        return cls(
            mapper,
            program * PROGRAM_BANK,
            graphics * GRAPHICS_BANK,
            bool(header[6] & _TRAINER),
            header[6] & (_VERTICAL | _BATTERY | _FOUR_SCREEN),
        )

    @property
    def begin(self) -> int:
        """Where in the file the program begins."""
        return HEADER_SIZE + (TRAINER_SIZE if self.trainer else 0)

    @property
    def end(self) -> int:
        """Where in the file the graphics end."""
        return self.begin + self.program + self.graphics

    @property
    def mapper_name(self) -> str:
        """Like "4 (MMC3)"."""
        name = MAPPERS.get(self.mapper)
        return f"{self.mapper} ({name})" if name else str(self.mapper)


def clean_image(content: bytes, program: int, wiring: int = _VERTICAL) -> bytes:
    """A file with nothing but a plain header of mapper 0, the program and the graphics.

    Args:
        content: program and graphics.
        program: how many bytes of it are program.
        wiring: as in :class:`Header`; the games that are known have vertical mirroring.
    """
    graphics = len(content) - program
    banks = bytes([program // PROGRAM_BANK, graphics // GRAPHICS_BANK, wiring])
    return b"NES\x1a" + banks + bytes(9) + content


def possible_images(data: bytes) -> Iterator[bytes]:
    """Clean images of 32 kB of program and 8 kB of graphics that ``data`` may hold.

    Whatever the header says: it may be the header that is wrong.
    """
    size = 2 * PROGRAM_BANK + GRAPHICS_BANK
    for begin in (HEADER_SIZE, HEADER_SIZE + TRAINER_SIZE):
        content = data[begin : begin + size]
        if len(content) == size:
            yield clean_image(content, 2 * PROGRAM_BANK)
