"""Trace files: what a game did, frame by frame, in columns.

A trace file is

* a line ``mario-envkit trace 1``,
* a line of JSON: the header (what was played, on which versions, a summary, and the columns),
* the columns, one after the other, compressed together with zlib.

So ``head -2 FILE`` shows what a trace is, and the rest is as small as it gets. Three encodings:

* ``delta``: integers; the differences between neighbours as little-endian int64, stored byte plane
  by byte plane. Most differences are small, so seven of the eight planes are nearly empty.
* ``uint32``: checksums, as they are: nothing makes them smaller.
* ``float64``: IEEE doubles, byte plane by byte plane.

Only the standard library is used: the recorders run in other environments than the tests.
"""

from __future__ import annotations

import json
import os
import sys
import zlib
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MAGIC = b"mario-envkit trace 1\n"
_ARRAY_CODE = {"delta": "q", "uint32": "I", "float64": "d"}

SCREEN_GROUP = 4
"""One screen checksum covers this many frames in a row (and ends anew after as many)."""

INFO_KEYS = (
    "coins",
    "flag_get",
    "life",
    "score",
    "stage",
    "status",
    "time",
    "world",
    "x_pos",
    "y_pos",
)
"""The info keys of gym-super-mario-bros 7.4, in its order."""

STATUSES = ("small", "tall", "fireball")
"""``info["status"]`` is stored as an index into this."""


class TraceError(ValueError):
    """A file is not a whole, undamaged trace."""


@dataclass(frozen=True)
class Trace:
    """One recorded scenario.

    Attributes:
        header: what was played and on what; see the recorder that wrote it.
        columns: name to values; a column that has a value per frame is as long as ``frames``.
    """

    header: dict[str, Any]
    columns: dict[str, list[Any]]

    @property
    def frames(self) -> int:
        """How many times ``env.step`` was called."""
        return int(self.header["frames"])

    def info(self, index: int, prefix: str = "") -> dict[str, Any]:
        """The info dictionary at ``index``, with the types that a caller sees (int, bool, str)."""
        info = {key: self.columns[prefix + key][index] for key in INFO_KEYS}
        info["flag_get"] = bool(info["flag_get"])
        info["status"] = STATUSES[info["status"]]
        return info


def encode_info(info: Mapping[str, Any], prefix: str = "") -> dict[str, int]:
    """The info dictionary as integers, for columns; the inverse of :meth:`Trace.info`."""
    row = {prefix + key: info[key] for key in INFO_KEYS}
    row[prefix + "status"] = STATUSES.index(info["status"])
    return {key: int(value) for key, value in row.items()}


def write_trace(
    path: Path, header: Mapping[str, Any], columns: Mapping[str, Sequence[int | float]]
) -> None:
    """Write a trace; columns ``*_crc32`` are uint32, others delta or, with floats, float64."""
    body = b""
    directory = []
    for name, values in columns.items():
        encoding = _encoding(name, values)
        directory.append({"name": name, "encoding": encoding, "length": len(values)})
        body += _encode(encoding, values)
    head = {**header, "columns": directory, "body_crc32": zlib.crc32(body)}
    line = json.dumps(head, ensure_ascii=False).encode()
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(_MAGIC + line + b"\n" + zlib.compress(body, 9))
    os.replace(temporary, path)


def read_trace(path: Path) -> Trace:
    """Read what :func:`write_trace` wrote.

    Raises:
        TraceError: if the file is not a trace, or damaged.
    """
    raw = path.read_bytes()
    if not raw.startswith(_MAGIC):
        raise TraceError(f"{path} is not a trace: it must start with {_MAGIC.decode().strip()!r}.")
    line, _, packed = raw[len(_MAGIC) :].partition(b"\n")
    try:
        header = json.loads(line)
        body = zlib.decompress(packed)
    except (ValueError, zlib.error) as error:
        raise TraceError(
            f"{path} is damaged ({error}): check it out or record it again."
        ) from error
    if zlib.crc32(body) != header.pop("body_crc32"):
        raise TraceError(f"{path} is damaged (checksum): check it out or record it again.")
    columns: dict[str, list[Any]] = {}
    at = 0
    for column in header.pop("columns"):
        code = _ARRAY_CODE[column["encoding"]]
        size = column["length"] * array(code).itemsize
        columns[column["name"]] = _decode(column["encoding"], body[at : at + size])
        at += size
    return Trace(header, columns)


def header_of(path: Path) -> dict[str, Any]:
    """The header alone: cheap enough to name tests by."""
    with path.open("rb") as file:
        if file.readline() != _MAGIC:
            raise TraceError(f"{path} is not a trace.")
        header: dict[str, Any] = json.loads(file.readline())
        return header


def parse_runs(text: str) -> list[int]:
    """Joypad bytes, one per frame, from ``BYTExFRAMES`` words; lines with # are comments."""
    buttons: list[int] = []
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        for word in line.split():
            byte, frames = word.split("x")
            buttons += [int(byte)] * int(frames)
    return buttons


def _encoding(name: str, values: Sequence[int | float]) -> str:
    if name.endswith("_crc32"):
        return "uint32"
    return "float64" if any(isinstance(value, float) for value in values) else "delta"


def _encode(encoding: str, values: Sequence[int | float]) -> bytes:
    if encoding == "delta":
        values = [now - before for now, before in zip(values, [0, *values[:-1]])]  # noqa: B905
    numbers = array(_ARRAY_CODE[encoding], values)
    if sys.byteorder == "big":
        numbers.byteswap()
    raw = numbers.tobytes()
    if encoding == "uint32":
        return raw
    return b"".join(raw[plane :: numbers.itemsize] for plane in range(numbers.itemsize))


def _decode(encoding: str, raw: bytes) -> list[Any]:
    numbers = array(_ARRAY_CODE[encoding])
    width = numbers.itemsize
    if encoding != "uint32":
        count = len(raw) // width
        interleaved = bytearray(len(raw))
        for plane in range(width):
            interleaved[plane::width] = raw[plane * count : (plane + 1) * count]
        raw = bytes(interleaved)
    numbers.frombytes(raw)
    if sys.byteorder == "big":
        numbers.byteswap()
    values: list[Any] = numbers.tolist()
    if encoding == "delta":
        for index in range(1, len(values)):
            values[index] += values[index - 1]
    return values
