"""One snapshot of the archive, and how it looks as bytes."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from mario_envkit.emulator.snapshot import Snapshot
from mario_envkit.errors import SnapshotMismatch
from mario_envkit.files import parse_json
from mario_envkit.game import ram as m
from mario_envkit.game.levels import Level
from mario_envkit.snapshots.context import Saved

X_BUCKET = 25
"""Pixels; as wide as the buckets of the death hotspots."""
Y_BAND = 48
"""Pixels: three blocks, about the height between two floors."""

FORMAT_VERSION = 2  # 2: with the kind of environment
_MAGIC = b"MEKA"
_HEADER = struct.Struct("<4sHI")  # magic, format, length of the description
_CRC = struct.Struct("<I")

T = TypeVar("T")


class OtherFormat(SnapshotMismatch):
    """A snapshot that another version of this package has written."""


class Place(NamedTuple):
    """Where a snapshot was taken; the archive holds one for each place.

    Attributes:
        level: "1-1".
        area: identity of the area, as in the info.
        x_bucket: x in units of 25 px.
        y_band: y in units of 48 px.
        loops: in the repeating parts of 7-4 the turns taken, right ones and all: on them depends
            whether the part repeats, which x does not show. Zeros elsewhere: 4-4 and 8-4 send
            Mario back at the first wrong turn, by taking four pages off his x ("ProcLoopCommand"
            in the disassembly), after which he is where he was before.
    """

    level: str
    area: int
    x_bucket: int
    y_band: int
    loops: tuple[int, int]

    @classmethod
    def of(cls, info: dict[str, Any], ram: NDArray[np.uint8]) -> Place:
        """The place that an info and the console's RAM speak of."""
        return cls(
            info["level"],
            info["area"],
            info["x_pos"] // X_BUCKET,
            info["y_pos"] // Y_BAND,
            (int(ram[m.LOOP_CORRECT]), int(ram[m.LOOP_PASSED])),
        )

    @property
    def name(self) -> str:
        """A name for a file: the same in every process, another for every place."""
        digest = sha256(repr(tuple(self)).encode()).hexdigest()[:12]
        return f"{self.level}_{self.area:04x}_{self.x_bucket * X_BUCKET:04d}_{digest}"


@dataclass(slots=True)
class Practice:
    """How practice from a snapshot went.

    Attributes:
        attempts: restores whose outcome is known.
        successes: those after which Mario got on.
    """

    attempts: int = 0
    successes: int = 0

    @property
    def success_rate(self) -> float:
        """Successes per attempt, 0 to 1; 0 before the first attempt."""
        return self.successes / self.attempts if self.attempts else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class ArchivedSnapshot:
    """An environment at a moment, and what its agent had just been shown.

    Attributes:
        place: where.
        saved: the environment.
        observation: what the step before returned.
        info: what it said; plain values.
        practice: how practice from here went; counts on.
    """

    place: Place
    saved: Saved
    observation: NDArray[Any]
    info: dict[str, Any]
    practice: Practice = field(default_factory=Practice)

    @property
    def x_pos(self) -> int:
        """Pixels from the left end of the area."""
        return int(self.info["x_pos"])

    @property
    def level(self) -> Level | None:
        """The stage its environment plays; None is the full game."""
        level = self.saved.layers[0][1][0]  # see MarioEnv.save_context
        return None if level is None else Level(*level)

    @property
    def tick(self) -> int:
        """Frames since the level began."""
        return int(self.info["frame"])

    def __deepcopy__(self, memo: dict[int, Any]) -> ArchivedSnapshot:
        """All but the practice is never written to, so copies share it."""
        return replace(self, practice=deepcopy(self.practice, memo))

    def to_bytes(self) -> bytes:
        """This snapshot as bytes: a description in JSON, console and arrays, a checksum."""
        blobs: list[bytes] = []
        description = {
            "place": self.place,
            "info": self.info,
            "practice": asdict(self.practice),
            **_describe(self.saved, blobs),
            "observation": _plain(self.observation, blobs),
        }
        return _packed(description, blobs)

    @classmethod
    def from_bytes(cls, raw: bytes) -> ArchivedSnapshot:
        """Read what :meth:`to_bytes` wrote.

        Raises:
            OtherFormat: if another version of this package wrote them.
            SnapshotMismatch: if these bytes are not a whole, undamaged snapshot.
        """
        return _read(raw, cls._of)

    @classmethod
    def _of(cls, content: dict[str, Any], blobs: list[bytes]) -> ArchivedSnapshot:
        level, area, x_bucket, y_band, loops = content["place"]
        correct, passed = loops
        return cls(
            Place(level, area, x_bucket, y_band, (correct, passed)),
            _saved(content, blobs),
            _revived(content["observation"], blobs),
            content["info"],
            Practice(**content["practice"]),
        )


def saved_to_bytes(saved: Saved) -> bytes:
    """An environment as bytes, without a place in an archive, for another process.

    Raises:
        SnapshotMismatch: if a wrapper remembers what cannot be stored.
    """
    blobs: list[bytes] = []
    return _packed(_describe(saved, blobs), blobs)


def saved_from_bytes(raw: bytes) -> Saved:
    """Read what :func:`saved_to_bytes` wrote.

    Raises:
        SnapshotMismatch: if these bytes are not a whole, undamaged environment of this version.
    """
    return _read(raw, _saved)


def _describe(saved: Saved, blobs: list[bytes]) -> dict[str, Any]:
    """An environment as JSON can hold it; the console goes to ``blobs``, which is empty, and then
    the arrays."""
    blobs.append(saved.console.to_bytes())
    return {
        "noise": saved.noise,
        "layers": _plain(saved.layers, blobs),
        "kind": saved.kind,
    }


def _saved(content: dict[str, Any], blobs: list[bytes]) -> Saved:
    return Saved(
        Snapshot.from_bytes(blobs[0]),
        tuple(content["noise"]),
        _revived(content["layers"], blobs),
        tuple((name, value) for name, value in content["kind"]),
    )


def _packed(description: dict[str, Any], blobs: list[bytes]) -> bytes:
    text = json.dumps({**description, "blobs": [len(blob) for blob in blobs]}).encode()
    whole = _HEADER.pack(_MAGIC, FORMAT_VERSION, len(text)) + text + b"".join(blobs)
    return whole + _CRC.pack(zlib.crc32(whole))


def _read(raw: bytes, make: Callable[[dict[str, Any], list[bytes]], T]) -> T:
    """What ``make`` makes of a description and the blobs that it names."""
    if len(raw) < _HEADER.size + _CRC.size or raw[:4] != _MAGIC:
        raise SnapshotMismatch("This is not a snapshot of an archive; take it again.")
    _, version, length = _HEADER.unpack_from(raw)
    if version != FORMAT_VERSION:
        raise OtherFormat(
            f"The snapshot has format {version}, of another version of mario-envkit, and this "
            f"one reads format {FORMAT_VERSION}; delete it, and play takes it again."
        )
    if zlib.crc32(raw[: -_CRC.size]) != _CRC.unpack(raw[-_CRC.size :])[0]:
        raise SnapshotMismatch(
            "The snapshot is damaged: its checksum does not fit its bytes; take it again."
        )
    try:
        content = parse_json(raw[_HEADER.size : _HEADER.size + length])
        blobs, start = [], _HEADER.size + length
        for size in content["blobs"]:
            blobs.append(raw[start : start + size])
            start += size
        return make(content, blobs)
    except (KeyError, IndexError, TypeError, ValueError, RecursionError) as error:
        raise SnapshotMismatch(
            f"The snapshot is not laid out as this version writes it ({error}); take it again."
        ) from error


def _plain(value: Any, blobs: list[bytes]) -> Any:
    """``value`` as JSON can hold it; arrays go to ``blobs``, leaving their number behind."""
    if isinstance(value, np.ndarray):
        blobs.append(value.tobytes())
        return {"blob": len(blobs) - 1, "shape": value.shape, "dtype": value.dtype.str}
    if isinstance(value, tuple):
        return [_plain(item, blobs) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    raise SnapshotMismatch(
        f"A wrapper remembers a {type(value).__name__}, which a file of the archive cannot hold; "
        "save_context() must return numbers, texts, None, arrays, and tuples of these."
    )


def _revived(value: Any, blobs: list[bytes]) -> Any:
    """What :func:`_plain` was given."""
    if isinstance(value, dict):
        dtype = np.dtype(value["dtype"])
        if dtype.hasobject:
            raise ValueError("an array of objects")
        return np.frombuffer(blobs[value["blob"]], dtype).reshape(value["shape"]).copy()
    if isinstance(value, list):
        return tuple(_revived(item, blobs) for item in value)
    return value
