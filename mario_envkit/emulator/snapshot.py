"""A machine as a value that can be kept, pickled, sent and loaded again."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Any, NoReturn

from mario_envkit.arguments import shown
from mario_envkit.errors import BackendUnavailable, OptionError, SnapshotMismatch

FORMAT_VERSION = 1
_MAGIC = b"MEKS"
_HEADER = struct.Struct("<4sHH32s")  # magic, format, length of the core's name, ROM
_CRC = struct.Struct("<I")


class NotCopied:
    """An emulator: copies of it are made by snapshots."""

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        """Refuse ``copy`` and pickle.

        Raises:
            BackendUnavailable: always; says what to do.
        """
        raise BackendUnavailable(
            "An emulator cannot be copied or pickled, because its cartridge is not to be passed "
            "on; make another one with the same cartridge, and load what save() returns."
        )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole state of an emulator at the end of a frame.

    It loads into any machine with the same core and the same cartridge, in any process.

    Attributes:
        core: name of the emulation and its timing, as in ``Emulator.core``.
        rom_sha256: the cartridge, hex.
        data: the machine, in the core's own format.
    """

    core: str
    rom_sha256: str
    data: bytes

    def __deepcopy__(self, memo: object) -> Snapshot:
        """A value: nothing can be written to it."""
        return self

    def to_bytes(self) -> bytes:
        """This snapshot as bytes: header, core name, machine, and the CRC-32 of all of it.

        Raises:
            OptionError: if it was not made of two texts, the second hexadecimal, and bytes.
        """
        # Not checked when it is made: planners make hundreds of thousands a second.
        try:
            name, rom = self.core.encode(), bytes.fromhex(self.rom_sha256)
        except (AttributeError, TypeError, ValueError):
            name, rom = b"", b""
        if len(name) >= 2**16 or len(rom) != 32 or not isinstance(self.data, bytes):
            raise OptionError(
                f"core={shown(self.core)}, rom_sha256={shown(self.rom_sha256)} and "
                f"data={shown(self.data)} make no snapshot; give the name of a core, a SHA-256 in "
                "hexadecimal digits, and the bytes of a machine."
            )
        whole = _HEADER.pack(_MAGIC, FORMAT_VERSION, len(name), rom) + name + self.data
        return whole + _CRC.pack(zlib.crc32(whole))

    @classmethod
    def from_bytes(cls, raw: bytes) -> Snapshot:
        """Read what :meth:`to_bytes` wrote.

        Raises:
            SnapshotMismatch: if these bytes are not a whole, undamaged snapshot.
        """
        if len(raw) < _HEADER.size + _CRC.size or raw[:4] != _MAGIC:
            raise SnapshotMismatch(
                "These bytes are not a snapshot: it must start with the mark of "
                "Snapshot.to_bytes(); take the snapshot again."
            )
        _, version, name_length, rom = _HEADER.unpack_from(raw)
        if version != FORMAT_VERSION:
            raise SnapshotMismatch(
                f"The snapshot has format {version} but this version reads format "
                f"{FORMAT_VERSION}; take the snapshot again."
            )
        whole, body = raw[: -_CRC.size], raw[_HEADER.size : -_CRC.size]
        if zlib.crc32(whole) != _CRC.unpack(raw[-_CRC.size :])[0] or len(body) < name_length:
            raise SnapshotMismatch(
                "The snapshot is damaged: its checksum does not fit its bytes; use another copy "
                "or take it again."
            )
        try:
            core = body[:name_length].decode()
        except UnicodeDecodeError as error:
            raise SnapshotMismatch(
                "The snapshot is damaged: its core has no readable name; take it again."
            ) from error
        return cls(core, rom.hex(), body[name_length:])

    def require(self, core: str, rom_sha256: str) -> None:
        """Check that this snapshot fits a machine.

        Raises:
            SnapshotMismatch: if it was taken on another core or cartridge.
        """
        if self.core != core:
            raise SnapshotMismatch(
                f"The snapshot was taken on the core {self.core!r} and cannot be loaded into "
                f"{core!r}; build the environment with the backend and timing it was taken with."
            )
        if self.rom_sha256 != rom_sha256:
            raise SnapshotMismatch(
                f"The snapshot belongs to the cartridge {self.rom_sha256[:12]}… and this machine "
                f"holds {rom_sha256[:12]}…; load it with the cartridge it was taken with."
            )
