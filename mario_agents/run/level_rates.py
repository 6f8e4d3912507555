"""How often each level is completed while training: ``levels.json`` of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from mario_agents.run.decoding import decode_json
from mario_envkit.errors import RunError
from mario_envkit.files import replace_file

RECENT = 50
"""Episodes after which the weight of an outcome has fallen to 1 / e."""

Count = Annotated[int, Meta(ge=0)]
Weight = Annotated[float, Meta(ge=0)]


class LevelRate(Struct, frozen=True):
    """Outcomes of the episodes of one level that tell how good the policy is.

    Attributes:
        episodes, successes: all of them, and those that reached their goal.
        weight, won: the same, fading, see :data:`RECENT`.
    """

    episodes: Count = 0
    successes: Count = 0
    weight: Weight = 0.0
    won: Weight = 0.0

    @property
    def recent(self) -> float:
        """Share of the latest episodes that reached their goal; 0 before the first."""
        return self.won / self.weight if self.weight else 0.0

    def plus(self, episodes: int, successes: int) -> LevelRate:
        """With ``episodes`` more, one at least, of which each is as likely a success as all."""
        kept = (1 - 1 / RECENT) ** episodes
        gained = (1 - kept) * RECENT  # the sum of what each of them weighs by now
        return LevelRate(
            self.episodes + episodes,
            self.successes + successes,
            self.weight * kept + gained,
            self.won * kept + gained * successes / episodes,
        )


def write_level_rates(path: Path, rates: Mapping[str, LevelRate]) -> None:
    """Replace ``levels.json``.

    Raises:
        RunError: if the disk refuses.
    """
    raw = msgspec.json.format(msgspec.json.encode(dict(sorted(rates.items()))))
    try:
        replace_file(path, lambda temporary: temporary.write_bytes(raw))
    except OSError as error:
        raise RunError(f"Cannot write {path}: {error.strerror}.") from error


def read_level_rates(path: Path) -> dict[str, LevelRate]:
    """The rates of a run by level, none if there is no such file.

    Raises:
        RunError: if it cannot be read, or is damaged.
    """
    try:
        return decode_json(path.read_bytes(), dict[str, LevelRate])
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}.") from error
    except msgspec.DecodeError as error:
        raise RunError(
            f"{path} is damaged ({error}); remove it, and the run counts from nothing again."
        ) from error
