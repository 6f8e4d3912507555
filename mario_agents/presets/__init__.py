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
from mario_envkit.plugins import load_trainer

FOLDER = Path(__file__).parent
FILES = {".yaml", ".yml", ".json"}
"""Endings by which a word is the path of a file."""


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


def preset_for(trainer: str, word: str) -> Preset:
    """What ``--preset`` of a trainer names: one of its presets, or a file of your own.

    Raises:
        ConfigError: if there is no such preset, or the file has one of another trainer.
    """
    path = Path(word)
    if path.suffix.lower() not in FILES:
        return find_preset(trainer, word)
    preset = read_preset(path)
    if preset.trainer != trainer:
        raise ConfigError(
            f"{path} is a preset of the trainer {preset.trainer!r}, not of {trainer!r}; name that "
            "trainer, or another preset."
        )
    return preset


def preset_of(word: str) -> Preset:
    """What a word without a trainer beside it means: ``trainer/name``, a trainer alone for its
    defaults, or a file of your own.

    Raises:
        ConfigError, TrainerError: if there is no such preset or trainer.
    """
    path = Path(word)
    if path.suffix.lower() in FILES:
        preset = read_preset(path)
        load_trainer(preset.trainer)
        return preset
    trainer, slash, name = word.partition("/")
    load_trainer(trainer)
    return find_preset(trainer, name) if slash else Preset(trainer, "", "", "")


def label_of(preset: Preset) -> str:
    """``trainer/name``, or the trainer alone for its defaults."""
    return f"{preset.trainer}/{preset.name}" if preset.name else preset.trainer
