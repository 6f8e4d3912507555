"""``mario-agents trainers``: which are installed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mario_agents.commands.parsing import command_line
from mario_envkit.plugins import available_trainers


@dataclass(frozen=True, kw_only=True)
class TrainersOptions:
    """List the installed trainers."""


COMMAND_LINE = command_line("trainers", TrainersOptions)


def main(words: Sequence[str]) -> None:
    """Print name, place and distribution of every trainer; imports none of them."""
    COMMAND_LINE.parse(words)
    entries = available_trainers()
    width = max((len(entry.name) for entry in entries), default=0)
    for entry in entries:
        print(f"{entry.name:<{width}}  {entry.target}  ({entry.distribution})")
    if not entries:
        print("No trainers are installed.")
