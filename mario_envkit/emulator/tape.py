"""The history of a machine since power-on: a snapshot for emulators that cannot dump theirs."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mario_envkit.emulator.protocol import RAM_SIZE
from mario_envkit.errors import SnapshotMismatch

_COUNTS = struct.Struct("<II")
_POKES = np.dtype([("frame", "<u4"), ("address", "<u2"), ("value", "u1")])


@dataclass(frozen=True, slots=True)
class Tape:
    """Joypad bytes, one a frame, and the RAM writes between frames.

    Attributes:
        buttons: joypad 1, frame by frame.
        pokes: ``(frame, address, value)`` in order; ``frame`` counts the frames before the write.
    """

    buttons: bytes
    pokes: tuple[tuple[int, int, int], ...]

    def to_bytes(self) -> bytes:
        """Little-endian: two counts, the joypad bytes, the writes."""
        counts = _COUNTS.pack(len(self.buttons), len(self.pokes))
        return counts + self.buttons + np.array(list(self.pokes), _POKES).tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Tape:
        """Read what :meth:`to_bytes` wrote.

        Raises:
            SnapshotMismatch: if it makes no sense.
        """
        frames, pokes = _COUNTS.unpack_from(data) if len(data) >= _COUNTS.size else (0, 0)
        start = _COUNTS.size + frames
        if len(data) != start + pokes * _POKES.itemsize:
            raise SnapshotMismatch(
                "The snapshot is damaged: its recording has another length than it says; take it "
                "again."
            )
        table = np.frombuffer(data, _POKES, count=pokes, offset=start)
        moments = table["frame"].astype(np.int64)
        if (table["address"] >= RAM_SIZE).any() or (
            pokes and (moments.max() > frames or (np.diff(moments) < 0).any())
        ):
            raise SnapshotMismatch(
                "The snapshot is damaged: it writes outside the machine's memory or history; "
                "take it again."
            )
        return cls(data[_COUNTS.size : start], tuple(table.tolist()))

    def starts_with(self, other: Tape) -> bool:
        """Whether ``other`` is how this history began."""
        return (
            self.buttons.startswith(other.buttons)
            and self.pokes[: len(other.pokes)] == other.pokes
            # A write that ``other`` has not made yet must not lie in its past.
            and all(
                frame >= len(other.buttons) for frame, _, _ in self.pokes[len(other.pokes) :][:1]
            )
        )

    def after(self, other: Tape) -> Iterator[tuple[list[tuple[int, int]], int | None]]:
        """What is to be done after ``other`` to get here: writes, then a frame (or None: the end).

        Yields:
            ``(writes, buttons)``: address and value pairs, then the joypad byte to step with.
        """
        waiting = len(other.pokes)
        for frame in range(len(other.buttons), len(self.buttons) + 1):
            writes = []
            while waiting < len(self.pokes) and self.pokes[waiting][0] == frame:
                writes.append(self.pokes[waiting][1:])
                waiting += 1
            yield writes, self.buttons[frame] if frame < len(self.buttons) else None
