"""``mario-agents presets``: which there are, and what each was measured to do."""

from __future__ import annotations

from textwrap import indent, wrap

from mario_agents.commands.dispatch import Presets
from mario_agents.presets import all_presets
from mario_envkit.errors import ConfigError

_WIDTH = 100


def list_presets(command: Presets) -> None:
    """Print every preset, or those of one trainer.

    Raises:
        ConfigError: if the trainer has none.
    """
    presets = [preset for preset in all_presets() if command.trainer in (None, preset.trainer)]
    if not presets:
        trainers = ", ".join(sorted({preset.trainer for preset in all_presets()}))
        raise ConfigError(
            f"There are no presets for {command.trainer!r}; there are for {trainers}."
        )
    for preset in presets:
        print(f"mario-agents train {preset.trainer} --preset {preset.name}")
        options = ", ".join(f"{name} {value}" for name, value in preset.options.items())
        for text in (preset.description, f"Measured: {preset.measured}", f"Options: {options}"):
            lines = wrap(" ".join(text.split()), _WIDTH - 4, subsequent_indent="  ")
            print(indent("\n".join(lines), "    "))
        print()
