"""``mario-agents presets``: which there are, and what each was measured to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import indent, wrap
from typing import Annotated

import tyro
from tyro.conf import Positional

from mario_agents.commands.parsing import command_line
from mario_agents.presets import all_presets
from mario_envkit.errors import ConfigError

_WIDTH = 100


@dataclass(frozen=True, kw_only=True)
class PresetsOptions:
    """List the presets of the trainers, with what each was measured to do."""

    trainer: Annotated[Positional[str | None], tyro.conf.arg(metavar="[TRAINER]")] = None
    """Only those of this trainer."""


COMMAND_LINE = command_line("presets", PresetsOptions)


def main(words: Sequence[str]) -> None:
    """Print every preset, or those of one trainer.

    Raises:
        ConfigError: if the trainer has none.
    """
    options = COMMAND_LINE.parse(words)
    presets = [preset for preset in all_presets() if options.trainer in (None, preset.trainer)]
    if not presets:
        trainers = ", ".join(sorted({preset.trainer for preset in all_presets()}))
        raise ConfigError(
            f"There are no presets for {options.trainer!r}; there are for {trainers}."
        )
    for preset in presets:
        print(f"mario-agents train {preset.trainer} --preset {preset.name}")
        listed = ", ".join(f"{name} {value}" for name, value in preset.options.items())
        for text in (preset.description, f"Measured: {preset.measured}", f"Options: {listed}"):
            lines = wrap(" ".join(text.split()), _WIDTH - 4, subsequent_indent="  ")
            print(indent("\n".join(lines), "    "))
        print()
