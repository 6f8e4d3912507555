"""Whether a video is whole, as far as that can be told without playing it."""

from __future__ import annotations

import os
from pathlib import Path


def is_mp4(path: Path) -> bool:
    """Whether a file is an MP4 from its first box to its last (ISO/IEC 14496-12, section 4.2).

    A file that was cut off ends within a box, or lacks the one that says what is in it ("moov").
    """
    kinds = []
    try:
        with path.open("rb") as file:
            size, where = os.fstat(file.fileno()).st_size, 0
            while where < size:
                file.seek(where)
                head = file.read(16)
                length = int.from_bytes(head[:4], "big")
                if length == 1:  # the real one, of 8 bytes, follows the kind
                    length = int.from_bytes(head[8:], "big")
                if length < 8 or where + length > size:
                    return False
                kinds.append(head[4:8])
                where += length
    except OSError:
        return False
    return kinds[:1] == [b"ftyp"] and b"moov" in kinds
