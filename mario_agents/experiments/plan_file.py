"""The file in which a bench or a sweep keeps what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from mario_agents.run.decoding import decode_json
from mario_envkit.errors import RunError
from mario_envkit.files import replace_text


class Plan(Protocol):
    """A msgspec struct with the version of its format."""

    @property
    def version(self) -> int:
        """Of the format."""


P = TypeVar("P", bound=Plan)


def write_plan(path: Path, plan: Plan) -> None:
    """Write a plan.

    Raises:
        OSError: if the disk refuses.
    """
    replace_text(path, msgspec.json.format(msgspec.json.encode(plan), indent=1).decode() + "\n")


def read_plan(path: Path, kind: type[P], version: int, missing: str) -> P:
    """The plan in a file.

    Args:
        path: the file.
        kind: the struct that it has.
        version: the one that can be read.
        missing: what to say where there is none.

    Raises:
        RunError: if there is none, or it is damaged or of another version.
    """
    try:
        plan = decode_json(path.read_bytes(), kind)
    except FileNotFoundError as error:
        raise RunError(missing) from error
    except (OSError, msgspec.DecodeError) as error:
        raise RunError(f"The plan {path} is damaged: {error}.") from error
    if plan.version != version:
        raise RunError(
            f"The plan {path} has version {plan.version}, not {version}: it was made by "
            "another version of mario-envkit; go on with that one, or choose another folder."
        )
    return plan
