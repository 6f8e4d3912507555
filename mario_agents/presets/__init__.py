"""Named sets of options, each with what it was measured to do: the YAML files beside this one.

A preset has the keys ``trainer``, ``name``, ``description`` (one sentence), ``measured`` (figures
and how they were obtained, or "not measured yet") and ``options`` (of the trainer's configuration).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from mario_agents.config import read_options
from mario_envkit.arguments import most_similar
from mario_envkit.errors import ConfigError

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Preset:
    """One file."""

    trainer: str
    name: str
    description: str
    measured: str
    options: dict[str, Any] = field(default_factory=dict)


@cache
def all_presets() -> tuple[Preset, ...]:
    """Every preset, by trainer and name.

    Raises:
        ConfigError: if a file of the package is damaged.
    """
    presets = map(read_preset, FOLDER.glob("*.yaml"))
    return tuple(sorted(presets, key=lambda preset: (preset.trainer, preset.name)))


def read_preset(path: Path) -> Preset:
    """A preset from a file, ours or your own.

    Raises:
        ConfigError: if it cannot be read, or is no preset.
    """
    try:
        return msgspec.convert(read_options(path), Preset)
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"{path} is no preset: {error}; it needs trainer, name, description, measured and "
            "options, as those that come with mario-envkit."
        ) from error


def find_preset(trainer: str, name: str) -> Preset:
    """The preset ``name`` of a trainer, which ``trainer/name`` names too.

    Raises:
        ConfigError: if there is none; the message lists those there are.
    """
    known = {preset.name: preset for preset in all_presets() if preset.trainer == trainer}
    name = name.removeprefix(f"{trainer}/")
    if name in known:
        return known[name]
    if not known:
        raise ConfigError(f"The trainer {trainer!r} has no presets; leave out --preset.")
    close = most_similar(name, known)
    hint = f" Did you mean {close!r}?" if close else ""
    raise ConfigError(
        f"The trainer {trainer!r} has no preset {name!r}; it has {', '.join(known)}.{hint}"
    )
