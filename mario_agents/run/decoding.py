"""JSON of a known layout, from files of whoever may have written them."""

from __future__ import annotations

from typing import TypeVar

import msgspec

T = TypeVar("T")


def decode_json(data: bytes, kind: type[T]) -> T:
    """What ``data`` holds, as ``kind``.

    Raises:
        msgspec.DecodeError: if it is no JSON, or laid out in another way.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(f"it is not UTF-8 ({error})") from error
    except RecursionError as error:
        raise msgspec.DecodeError("it is nested too deeply") from error
